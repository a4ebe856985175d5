import { type DoubleAnswer, type DoubleRequest, HttpDouble } from '../http-double.ts';

/**
 * A double of the endpoint by which App Service and Functions hand out tokens of a managed identity, written to
 * Microsoft's page "How to use managed identities for App Service" (api-version 2019-08-01). It is not Azure.
 */
export class ManagedIdentityDouble extends HttpDouble {
  readonly header = 'header-of-the-double';
  /** What {@link KeyVaultDouble} takes. */
  static readonly TOKEN = 'token-of-a-managed-identity';

  /** For the processes that are to have the identity. */
  environment(): Record<string, string> {
    return {
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
      IDENTITY_ENDPOINT: `${this.url}/msi/token`,
      IDENTITY_HEADER: this.header,
    };
  }

  protected usual({ path, query, headers }: DoubleRequest): DoubleAnswer {
    if (path !== '/msi/token') return { status: 404 };
    if (headers['x-identity-header'] !== this.header) return { status: 401 };
    const resource = query.get('resource');
    if (query.get('api-version') !== '2019-08-01' || !resource)
      return { status: 400, body: { statusCode: 400, message: 'Bad Request' } };
    const expires_on = String(Math.floor(Date.now() / 1_000) + 86_400);
    return {
      status: 200,
      body: { access_token: ManagedIdentityDouble.TOKEN, expires_on, resource, token_type: 'Bearer' },
    };
  }
}

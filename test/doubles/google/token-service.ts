import { type DoubleAnswer, type DoubleRequest, HttpDouble } from '../http-double.ts';

/**
 * A double of Google's Security Token Service as far as Workload Identity Federation exchanges a token there (RFC 8693;
 * Google's page "Obtain short-lived tokens for Workload Identity Federation"). It is not Google.
 */
export class TokenServiceDouble extends HttpDouble {
  /** What {@link SecretManagerDouble} takes. */
  static readonly TOKEN = 'token-of-a-federated-identity';
  readonly subjectToken = 'subject-token-of-the-double';

  /** What GOOGLE_APPLICATION_CREDENTIALS names; `file` holds the subject token. */
  credentials(file: string): object {
    return {
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${this.url}/v1/token`,
      credential_source: { file },
    };
  }

  protected usual({ method, path, body }: DoubleRequest): DoubleAnswer {
    if (method !== 'POST' || path !== '/v1/token') return { status: 404 };
    const form = new URLSearchParams(body);
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange')
      return { status: 400, body: { error: 'unsupported_grant_type' } };
    if (form.get('subject_token') !== this.subjectToken)
      return { status: 400, body: { error: 'invalid_grant', error_description: 'The token is not valid.' } };
    return {
      status: 200,
      body: {
        access_token: TokenServiceDouble.TOKEN,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 3_600,
      },
    };
  }
}

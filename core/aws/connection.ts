import type { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { AwsSpec } from './spec.ts';

type Credentials = ReturnType<typeof fromTemporaryCredentials>;

/** How long a connection may take to be made, in milliseconds; the whole request ends with the call's deadline. */
const CONNECT_MS = 5_000;

export interface AwsConnection {
  readonly maxAttempts: 1;
  readonly region?: string;
  readonly endpoint?: string;
  readonly profile?: string;
  readonly credentials?: Credentials;
  readonly requestHandler: { readonly connectionTimeout: number };
}

/**
 * Configuration of an SDK client. The default chain finds the credentials (environment, IRSA, Pod Identity, profile,
 * instance), AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE> the address. One attempt: what is repeated, and until
 * when, is decided by the call's deadline (send.ts), which the SDK doesn't know.
 */
export async function awsConnection(spec: AwsSpec): Promise<AwsConnection> {
  const { region, endpoint, profile, roleArn } = spec;
  return {
    maxAttempts: 1,
    ...(region ? { region } : {}),
    ...(endpoint ? { endpoint } : {}),
    ...(profile ? { profile } : {}),
    ...(roleArn ? { credentials: await assuming(roleArn, spec) } : {}),
    requestHandler: { connectionTimeout: CONNECT_MS },
  };
}

async function assuming(roleArn: string, { region, profile, externalId }: AwsSpec): Promise<Credentials> {
  const providers = await import('@aws-sdk/credential-providers');
  return providers.fromTemporaryCredentials({
    ...(profile ? { masterCredentials: providers.fromNodeProviderChain({ profile }) } : {}),
    ...(region ? { clientConfig: { region } } : {}),
    params: {
      RoleArn: roleArn,
      // Seen in CloudTrail beside every call.
      RoleSessionName: 'rotor',
      ...(externalId ? { ExternalId: externalId } : {}),
    },
  });
}

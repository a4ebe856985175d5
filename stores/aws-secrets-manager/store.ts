import type { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { awsConnection } from '../../core/aws/connection.ts';
import { clientsOf } from '../../core/clients.ts';
import { awsEventAddress } from '../aws/event-address.ts';
import type { Store } from '../store.ts';
import { SecretsManagerSession } from './session.ts';
import { MAX_BYTES, type SecretsManagerSpec, secretsManagerSpec } from './spec.ts';

/** Versions where they already are: in secrets of AWS Secrets Manager, by AWS's own staging labels. */
export function awsSecretsManagerStore(): Store<SecretsManagerSpec> {
  const clients = clientsOf<SecretsManagerSpec, SecretsManager>(async (spec) => {
    // Loaded here, so that only who uses this store pays for the SDK.
    const { SecretsManager: Client } = await import('@aws-sdk/client-secrets-manager');
    return new Client(await awsConnection(spec));
  });
  return {
    kind: 'awsSecretsManager',
    spec: secretsManagerSpec,
    limits: { maxBytes: MAX_BYTES, fences: false, destroys: false },
    eventAddress: (spec, path) => awsEventAddress(spec, `${spec.prefix}${path}`),
    open: (spec) => new SecretsManagerSession(spec, () => clients(spec)),
  };
}

import type { Credential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';

/** A version of a credential whose secret is easily found where it must not be. */
export function aVersion(versionId: string): Credential {
  return {
    versionId,
    identity: 'app',
    fields: { username: 'app' },
    secrets: { password: SecretValue.of('marker') },
  };
}

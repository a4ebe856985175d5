import { SecretValue } from '../../core/secret.ts';
import { standardSignature } from '../../core/standard-webhooks.ts';

/** As Standard Webhooks have it. */
export function signed(
  id: string,
  timestamp: number,
  body: string,
  secret: SecretValue,
): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json',
    ...standardSignature(id, timestamp, SecretValue.of(body), secret),
  };
}

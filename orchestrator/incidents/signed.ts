import { readFile } from 'node:fs/promises';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { standardKey } from '../intake/proof.ts';

/** As Standard Webhooks have it: `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`. */
export function signed(
  id: string,
  timestamp: number,
  body: string,
  secret: SecretValue,
): Readonly<Record<string, string>> {
  const signature = SecretValue.of(`${id}.${timestamp}.${body}`)
    .fingerprint(standardKey(secret))
    .toString('base64');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  };
}

/**
 * What a file of a runbook holds, read when it is needed.
 * @throws RotorError `reference.unresolved`
 */
export async function secretIn(file: string, whose = 'a notification'): Promise<SecretValue> {
  try {
    return SecretValue.of((await readFile(file, 'utf8')).trim());
  } catch (error) {
    throw new RotorError('reference.unresolved', {
      what: `the secret of ${whose}: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  }
}

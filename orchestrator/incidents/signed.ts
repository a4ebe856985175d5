import { readFile } from 'node:fs/promises';
import { foreignCode, RotorError } from '../../core/errors.ts';
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

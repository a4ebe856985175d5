import { readFile } from 'node:fs/promises';
import { foreignCode, RotorError } from './errors.ts';
import { SecretValue } from './secret.ts';

/**
 * What a referenced file holds, without blanks and line breaks around it; read anew whenever it is needed.
 * @param whose who refers to it, as the error says it
 * @throws RotorError `reference.unresolved` when it can't be read or is empty
 */
export async function secretIn(file: string, whose: string): Promise<SecretValue> {
  const bytes = await readFile(file).catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `${whose}: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
  const secret = SecretValue.of(bytes.toString('utf8').trim());
  bytes.fill(0);
  if (secret.size > 0) return secret;
  throw new RotorError('reference.unresolved', { what: `${whose}: ${file} is empty` });
}

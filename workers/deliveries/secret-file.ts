import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';

/** A secret by reference: the file that holds it, read anew whenever it is needed. */
export const secretFile = z.strictObject({
  file: z.string().refine(isAbsolute, { error: 'must be an absolute path' }),
});

/** Without blanks and line breaks around it. @throws RotorError `reference.unresolved` */
export async function secretIn({ file }: { readonly file: string }, target: string): Promise<SecretValue> {
  const bytes = await readFile(file).catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `${target}: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
  const secret = SecretValue.of(bytes.toString('utf8').trim());
  bytes.fill(0);
  if (secret.size > 0) return secret;
  throw new RotorError('reference.unresolved', { what: `${target}: ${file} is empty` });
}

import { isAbsolute } from 'node:path';
import { z } from 'zod';

/** A secret by reference: the file that holds it, read anew whenever it is needed. */
export const secretFile = z.strictObject({
  file: z.string().refine(isAbsolute, { error: 'must be an absolute path' }),
});

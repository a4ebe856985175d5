import { isAbsolute } from 'node:path';
import { z } from 'zod';

/** `spec.local` of a Store manifest. */
export const localSpec = z.strictObject({
  /** Folder of the store. Absolute: every process that names it must mean the same one. */
  path: z.string().refine(isAbsolute, { error: 'must be an absolute path' }),
  /** How many versions without a stage are kept per path, the newest; older ones are destroyed. */
  keepVersions: z.int().min(0).max(1000).default(10),
});

export type LocalSpec = z.infer<typeof localSpec>;

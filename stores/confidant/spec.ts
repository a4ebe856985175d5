import { isAbsolute } from 'node:path';
import { z } from 'zod';

const file = z.string().refine(isAbsolute, { error: 'must be an absolute path' });

/** `spec.confidant` of a Store manifest: Lyft's Confidant, API version 1. */
export const confidantSpec = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .refine((text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).search === ''), {
      error: 'must be a plain address such as "https://confidant.example"',
    }),
  /** Put before store paths to make the name of a credential. */
  prefix: z.string().max(200).default(''),
  /** The whole document under this key, instead of one pair for each field. */
  pair: z
    .string()
    .regex(/^[a-z0-9_.-]{1,100}$/, 'needs a key of small letters, digits, "_", "-" or "."')
    .optional()
    .describe(
      'The whole document as JSON under this key, where its fields would collide with those of others',
    ),
  /** Makes a credential that isn't there. */
  create: z.boolean().default(false),
  auth: z.strictObject({
    token: z
      .strictObject({
        /** As KMS authentication has it: `2/service/rotor-production`. */
        username: z.string().min(1).max(300),
        from: z.strictObject({ file }),
      })
      .describe('A token of KMS authentication that somebody keeps fresh in a file'),
  }),
});

export type ConfidantSpec = z.infer<typeof confidantSpec>;

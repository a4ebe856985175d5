import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { awsFields } from '../../core/aws/spec.ts';

const file = z.string().refine(isAbsolute, { error: 'must be an absolute path' });

const service = z.string().regex(/^[\w.@+-]{1,200}$/, 'needs a name without slashes and blanks');

const kms = z.strictObject({
  /** Who Rotor is for Confidant: a service of its own. */
  from: service,
  /** Confidant's own name (AUTH_CONTEXT). */
  to: service,
  userType: z.enum(['service', 'user']).default('service'),
  /** Confidant's AUTH_KEY: `alias/authnz-production`, or an ARN. */
  keyId: z.string().min(1).max(2048),
  /** At most AUTH_TOKEN_MAX_LIFETIME. */
  lifetimeMinutes: z.int().min(6).max(60).default(10),
  ...awsFields,
});

export type KmsAuth = z.infer<typeof kms>;

/** How Rotor proves itself to Confidant: tokens of its KMS authentication. */
const auth = z
  .strictObject({
    token: z
      .strictObject({
        /** As KMS authentication has it: `2/service/rotor-production`. */
        username: z.string().min(1).max(300),
        from: z.strictObject({ file }),
      })
      .optional()
      .describe('A token that somebody keeps fresh in a file'),
    kms: kms.optional().describe('Rotor has AWS KMS make its tokens'),
  })
  .refine(({ token, kms }) => (token === undefined) !== (kms === undefined), {
    error: 'needs exactly one of: token, kms',
  });

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
  auth,
});

export type ConfidantSpec = z.infer<typeof confidantSpec>;

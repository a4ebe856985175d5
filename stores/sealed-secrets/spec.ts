import { isAbsolute } from 'node:path';
import { z } from 'zod';

/** No blanks and quotes: these paths also reach ssh's options. */
const file = z
  .string()
  .refine(isAbsolute, { error: 'must be an absolute path' })
  .regex(/^[\w./@+-]+$/, 'must have letters, digits and "._-@+/" only');
const segment = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const certificate = z
  .strictObject({
    file: file.optional(),
    url: z
      .url({ protocol: /^https?$/ })
      .refine((text) => !URL.canParse(text) || new URL(text).username === '', {
        error: 'must not hold a user',
      })
      .optional()
      .describe("For instance the controller's own /v1/cert.pem"),
  })
  .refine(({ file, url }) => (file === undefined) !== (url === undefined), {
    error: 'needs exactly one of: file, url',
  });

const git = z.strictObject({
  url: z
    .string()
    .regex(
      /^(https:\/\/[^\s@'"]+|ssh:\/\/[\w.@:/~+-]+|[\w.-]+@[\w.-]+:[\w./~+-]+|file:\/\/\/[\w./@+-]+)$/,
      'needs https://..., ssh://..., user@host:path or file:///..., without a password',
    ),
  branch: z.string().regex(/^[\w][\w./-]{0,199}$/, 'needs the name of a branch'),
  author: z
    .strictObject({
      name: z
        .string()
        .regex(/^[^<>\n]{1,100}$/, 'needs a name without "<" and ">"')
        .default('Rotor'),
      email: z
        .string()
        .regex(/^[^<>\s]{3,200}$/, 'needs an address without "<" and ">"')
        .default('rotor@localhost'),
    })
    .prefault({}),
  /** A token for https. */
  tokenFrom: z
    .strictObject({
      file,
      username: z
        .string()
        .regex(/^[\w.@+-]+$/)
        .default('x-access-token'),
    })
    .optional(),
  /** A key for ssh. */
  ssh: z.strictObject({ keyFile: file, knownHostsFile: file }).optional(),
  /** Authorities of your own. */
  caFile: file.optional(),
});

/** `spec.sealedSecrets` of a Store manifest: SealedSecret manifests in Git, or in a folder. */
export const sealedSecretsSpec = z
  .strictObject({
    certificate,
    scope: z.enum(['strict', 'namespace-wide', 'cluster-wide']).default('strict'),
    /** Of store paths without one; `shop/app` is the Secret `app` in the namespace `shop`. */
    namespace: z.string().max(63).regex(segment, 'needs the name of a namespace').optional(),
    /** The whole document under this key of the Secret, instead of one key for each field. */
    key: z
      .string()
      .max(253)
      .regex(/^[-._a-zA-Z0-9]+$/, 'needs a key that a Secret may have')
      .optional(),
    /** Of the Secret that the controller makes. */
    type: z.string().min(1).max(253).optional(),
    /** Takes over manifests that Rotor didn't write. */
    adopt: z.boolean().default(false),
    /** Of the repository: `clusters/prod` makes `clusters/prod/shop/app.yaml`. */
    path: z
      .string()
      .regex(/^[\w.-]+(\/[\w.-]+)*$/, 'needs a path such as "clusters/prod"')
      .refine((text) => !text.split('/').some((part) => part === '..' || part === '.' || part === '.git'), {
        error: 'must not leave the repository',
      })
      .optional(),
    git: git.optional(),
    folder: file.optional().describe('Writes files here and leaves committing to others'),
  })
  .refine(({ git, folder }) => (git === undefined) !== (folder === undefined), {
    error: 'needs exactly one of: git, folder',
  });

export type SealedSecretsSpec = z.infer<typeof sealedSecretsSpec>;
export type GitSpec = z.infer<typeof git>;

import { z } from 'zod';
import { passwordRules } from '../../core/password.ts';

const host = z.strictObject({ host: z.string().min(1), port: z.int().min(1).max(65_535).default(5_432) });

/** References to a secret; the secret itself is never written in a manifest. */
const passwordFrom = z
  .strictObject({ file: z.string().min(1).optional(), env: z.string().min(1).optional() })
  .refine(
    ({ file, env }) => (file === undefined) !== (env === undefined),
    'needs exactly one of `file` and `env`',
  );

const url = z.string().refine((text) => {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol) || parsed.hostname === '') return false;
  return [parsed.username, parsed.password, parsed.search, parsed.hash].every((part) => part === '');
}, 'needs a form like "postgres://db.example:5432/shop", without user, password or parameters');

/** Schema of `Provider.spec.postgres`. */
export const providerSpec = z
  .strictObject({
    url: url.optional(),
    hosts: z.array(host).min(1).max(20).optional().describe('Tried in order; the primary is used'),
    database: z.string().min(1).max(63).optional(),
    tls: z
      .strictObject({
        mode: z.enum(['disable', 'require', 'verify-full']).optional(),
        caFile: z.string().min(1).optional(),
      })
      .refine(
        ({ mode, caFile }) => caFile === undefined || mode === undefined || mode === 'verify-full',
        'checks nothing with `caFile` unless `mode` is verify-full',
      )
      .default({}),
    admin: z.strictObject({ username: z.string().min(1).max(63), passwordFrom }).optional(),
  })
  .refine((spec) => (spec.url === undefined) !== (spec.hosts === undefined), {
    path: ['hosts'],
    message: 'exactly one of `url` and `hosts` is required',
  })
  .refine(
    (spec) =>
      spec.database !== undefined || (spec.url !== undefined && new URL(spec.url).pathname.length > 1),
    {
      path: ['database'],
      message: 'is required, here or in `url`',
    },
  );
export type ProviderSpec = z.output<typeof providerSpec>;

/** PostgreSQL cuts longer names off silently; the mark would end the quoted block in which names are used. */
const role = z
  .string()
  .min(1)
  .refine((name) => Buffer.byteLength(name) <= 63, 'must not be longer than 63 bytes')
  .refine((name) => !name.includes('$rotor$') && !name.includes('\0'), 'must not contain "$rotor$"');

const database = z
  .string()
  .min(1)
  .max(63)
  .optional()
  .describe("Where consumers use it, when that isn't the provider's database");

const alternating = z
  .strictObject({
    mode: z.literal('alternating-users'),
    roles: z.tuple([role, role]).describe('The two login roles that take turns'),
    owner: role.describe('The role without login that both belong to and act as'),
    database,
    password: passwordRules.prefault({}),
  })
  .refine(({ roles, owner }) => new Set([...roles, owner]).size === 3, {
    path: ['roles'],
    message: 'the two roles and the owner must be three different names',
  });

const single = z.strictObject({
  mode: z.literal('single-user'),
  role,
  acknowledgeNoOverlap: z
    .literal(true)
    .describe(
      'New logins with the old password are refused between the change and the reload of each consumer',
    ),
  database,
  password: passwordRules.prefault({}),
});

/** Schema of `RotationPolicy.spec.credential.postgres`. */
export const credentialSpec = z.union([alternating, single]);
export type CredentialSpec = z.output<typeof credentialSpec>;
export type AlternatingSpec = z.output<typeof alternating>;
export type SingleSpec = z.output<typeof single>;

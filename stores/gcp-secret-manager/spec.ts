import { z } from 'zod';

/** Quota of Secret Manager: bytes of a payload. */
export const MAX_BYTES = 65_536;

/** `spec.gcpSecretManager` of a Store manifest. */
export const secretManagerSpec = z.strictObject({
  /** Id or number of the project that the secrets are in. */
  project: z
    .string()
    .regex(/^([a-z][a-z0-9.-]*:)?[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$/, 'needs the id or number of a project'),
  /** `europe-west3` for regional secrets; absent for global ones. */
  location: z
    .string()
    .regex(/^[a-z]+(-[a-z]+)+\d+$/, 'needs a region such as europe-west3')
    .optional(),
  /** Put before every id: `prod-` and `shop/app` are the secret `prod-shop--app`. */
  prefix: z
    .string()
    .max(100)
    .regex(/^([0-9A-Za-z_]+(-{1,2}[0-9A-Za-z_]+)*-{0,2})?$/, 'needs letters, digits, "_" and "-"')
    .default(''),
  /** Whether a secret that isn't there is made. */
  create: z.boolean().default(false),
  /** Alias of consumers that read one instead of `latest`; moved when a version is published. */
  alias: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, 'needs a letter, then letters, digits, "_" and "-"')
    .refine((name) => name !== 'latest', { error: '"latest" is no alias: it is always the newest version' })
    .optional(),
  /** How many versions without a stage are kept per path, the newest; older ones are destroyed. */
  keepVersions: z.int().min(0).max(50).default(10),
  /** A Private Service Connect endpoint. Secrets travel there, so plain http is for loopback only. */
  endpoint: z
    .string()
    .refine(isSafeEndpoint, { error: 'needs an https:// address without a path (http:// on loopback only)' })
    .optional(),
});

export type SecretManagerSpec = z.infer<typeof secretManagerSpec>;

function isSafeEndpoint(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.username || url.password || url.pathname !== '/' || url.search || url.hash) return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
}

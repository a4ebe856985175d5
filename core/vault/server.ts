import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { noDotSegments } from '../url-path.ts';

const file = z.string().refine(isAbsolute, { error: 'must be an absolute path' });
/** Where an engine or a way to log in is mounted. */
export const mountPath = z
  .string()
  .regex(/^[\w.-]+(\/[\w.-]+)*$/, 'needs a form like "secret" or "team/secret", without slashes around it')
  .refine(...noDotSegments);

/** How Rotor proves itself to Vault. Tokens and ids are references: none is written in a manifest. */
const auth = z
  .strictObject({
    token: z.strictObject({ file }).optional().describe('A token in a file, such as the sink of Vault Agent'),
    kubernetes: z
      .strictObject({
        role: z.string().min(1),
        mount: mountPath.default('kubernetes'),
        tokenFile: file.default('/var/run/secrets/kubernetes.io/serviceaccount/token'),
      })
      .optional(),
    appRole: z
      .strictObject({
        roleId: z.string().min(1),
        secretIdFrom: z.strictObject({ file }),
        mount: mountPath.default('approle'),
      })
      .optional(),
    jwt: z
      .strictObject({
        role: z.string().min(1),
        from: z.strictObject({ file }),
        mount: mountPath.default('jwt'),
      })
      .optional(),
  })
  .refine((ways) => Object.values(ways).filter((way) => way !== undefined).length === 1, {
    error: 'needs exactly one of: token, kubernetes, appRole, jwt',
  });

/** Fields of every manifest that names a HashiCorp Vault or an OpenBao: where it is, and how Rotor proves itself to it. */
export const vaultServer = {
  address: z
    .url({ protocol: /^https?$/ })
    .refine((text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).search === ''), {
      error: 'must be a plain address such as "https://vault.example:8200"',
    }),
  /** Vault Enterprise and OpenBao. */
  namespace: z.string().min(1).optional(),
  auth,
} as const;

const whole = z.strictObject(vaultServer);
export type VaultServer = z.infer<typeof whole>;

import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { noDotSegments } from '../../core/url-path.ts';

const file = z.string().refine(isAbsolute, { error: 'must be an absolute path' });
const login = z
  .string()
  .min(1)
  .max(500)
  .refine(...noDotSegments);

/** How Rotor proves itself to Conjur. Keys and tokens are references: none is written in a manifest. */
const auth = z
  .strictObject({
    apiKey: z
      .strictObject({ login, from: z.strictObject({ file }) })
      .optional()
      .describe('authn: the login of a host is "host/<id>"'),
    jwt: z
      .strictObject({
        serviceId: z
          .string()
          .min(1)
          .max(200)
          .refine(...noDotSegments),
        host: login.optional(),
        tokenFile: file.default('/var/run/secrets/kubernetes.io/serviceaccount/token'),
      })
      .optional()
      .describe('authn-jwt, with the token of a ServiceAccount for instance'),
    accessToken: z
      .strictObject({ file })
      .optional()
      .describe('A token in a file, such as the one that the authn-k8s client keeps fresh'),
  })
  .refine((ways) => Object.values(ways).filter((way) => way !== undefined).length === 1, {
    error: 'needs exactly one of: apiKey, jwt, accessToken',
  });

/** `spec.conjur` of a Store manifest: CyberArk Conjur, open source or Enterprise. */
export const conjurSpec = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .refine((text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).search === ''), {
      error: 'must be a plain address such as "https://conjur.example"',
    }),
  account: z
    .string()
    .min(1)
    .max(200)
    .refine(...noDotSegments),
  /** Put before store paths: `prod/` makes `shop/app` the variable `prod/shop/app`. */
  prefix: z.string().max(400).default(''),
  auth,
});

export type ConjurSpec = z.infer<typeof conjurSpec>;

import { z } from 'zod';
import { awsFields } from '../../core/aws/spec.ts';

/** Bytes of a secret's value (quotas of AWS Secrets Manager). */
export const MAX_BYTES = 65_536;

/** `spec.awsSecretsManager` of a Store manifest. */
export const secretsManagerSpec = z.strictObject({
  ...awsFields,
  /** Put before every store path to make the secret's name: `prod/` and `shop/app` are the secret `prod/shop/app`. */
  prefix: z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9/_+=.@-]*$/, 'needs letters, digits and "/_+=.@-"')
    .default(''),
  /** Whether a secret that isn't there is made. Otherwise it must exist, with the policies and key its owners gave it. */
  create: z.boolean().default(false),
  /** Key of the secrets that Rotor makes; the account's `aws/secretsmanager` when absent. Other secrets keep theirs. */
  kmsKeyId: z.string().min(1).max(2048).optional(),
});

export type SecretsManagerSpec = z.infer<typeof secretsManagerSpec>;

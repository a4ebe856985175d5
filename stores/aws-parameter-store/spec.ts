import { z } from 'zod';
import { awsFields } from '../../core/aws/spec.ts';

/** Bytes of a value by the parameter's tier (quotas of AWS Systems Manager). */
export const TIER_BYTES = { Standard: 4_096, Advanced: 8_192 } as const;
export const MAX_BYTES = TIER_BYTES.Advanced;

/** `spec.awsParameterStore` of a Store manifest. */
export const parameterStoreSpec = z.strictObject({
  ...awsFields,
  /** Put before every store path: `/prod/` and `shop/app` are the parameter `/prod/shop/app`. */
  prefix: z
    .string()
    .max(500)
    .regex(/^[A-Za-z0-9/_.-]*$/, 'needs letters, digits and "/_.-"')
    .default(''),
  /** Whether a parameter that isn't there is made. */
  create: z.boolean().default(false),
  /** Key of the parameters that Rotor makes; the account's `aws/ssm` when absent. Others keep theirs. */
  kmsKeyId: z.string().min(1).max(2048).optional(),
  /** Of the parameters that Rotor makes: 4 kB, or 8 kB at a price. Others keep theirs. */
  tier: z.enum(['Standard', 'Advanced']).default('Standard'),
});

export type ParameterStoreSpec = z.infer<typeof parameterStoreSpec>;

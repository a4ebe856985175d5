import { z } from 'zod';

/** Where a store of AWS is and as whom the workers go there. All optional: the SDK's own environment decides otherwise. */
export const awsFields = {
  /** `eu-central-1`; AWS_REGION or the profile's when absent. */
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d+$/, 'needs a region such as eu-central-1')
    .optional(),
  /** A VPC endpoint or an emulator; AWS_ENDPOINT_URL when absent. Secrets travel there, so plain http is for loopback only. */
  endpoint: z
    .string()
    .refine(isSafeEndpoint, { error: 'needs an https:// address (http:// on loopback only)' })
    .optional(),
  /** Profile of the workers' shared configuration files. */
  profile: z.string().min(1).max(100).optional(),
  /** Role to assume before anything is done; its trust policy must let the workers' identity in. */
  roleArn: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/.+$/, 'needs the ARN of a role')
    .optional(),
  /** Asked for by the role's trust policy. It is no secret. */
  externalId: z.string().min(2).max(1224).optional(),
};

const awsSpec = z.strictObject(awsFields);
export type AwsSpec = z.infer<typeof awsSpec>;

/** https, or http on this machine; no user in it. */
export function isSafeEndpoint(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.username || url.password) return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
}

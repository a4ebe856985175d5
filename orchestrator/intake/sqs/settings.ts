import { z } from 'zod';
import { awsFields, isSafeEndpoint } from '../../../core/aws/spec.ts';
import { duration } from '../../../core/duration-schema.ts';
import { ignoreFrom } from '../aws-rotation-events.ts';

/** `queues.<name>.sqs` of the hooks file. Who may send to the queue is believed: its policy is the door. */
export const sqsSettings = z.strictObject({
  url: z
    .url()
    .refine(isSafeEndpoint, { error: 'needs the https:// address of a queue (http:// on loopback only)' })
    .describe('Address of the queue, as AWS shows it'),
  region: awsFields.region,
  profile: awsFields.profile,
  roleArn: awsFields.roleArn,
  externalId: awsFields.externalId,
  ignoreFrom,
  visibility: duration({ min: 1_000, max: 12 * 3_600_000 })
    .default(60_000)
    .describe(
      'How long a message that was received is hidden from others; it comes again unless it was taken',
    ),
});

export type SqsSettings = z.output<typeof sqsSettings>;

/** The region that the address of the queue names, as AWS writes them. */
export function regionOf({ url, region }: Pick<SqsSettings, 'url' | 'region'>): string | undefined {
  if (region) return region;
  const { hostname } = new URL(url);
  return /^sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.exec(hostname)?.[1];
}

import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';

export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
export type Step = (typeof STEPS)[number];

/**
 * What AWS Secrets Manager sends to a rotation function (user guide, "Rotation by Lambda function"). `RotationToken` comes
 * with rotations across accounts and goes back with PutSecretValue.
 */
const schema = z.object({
  SecretId: z.string().min(1).max(2_048),
  ClientRequestToken: z.string().min(32).max(64),
  Step: z.enum(STEPS),
  RotationToken: z.string().min(36).max(256).optional(),
});

export interface RotationEvent {
  readonly secretId: string;
  /** Also the id of the version that is being made. */
  readonly versionId: string;
  readonly step: Step;
  readonly rotationToken: string | undefined;
}

/** @throws RotorError `function.invalid-event`, naming the fields; never repeats a value */
export function parseEvent(event: unknown): RotationEvent {
  const parsed = schema.safeParse(event);
  if (parsed.success) {
    const { SecretId, ClientRequestToken, Step: step, RotationToken } = parsed.data;
    return { secretId: SecretId, versionId: ClientRequestToken, step, rotationToken: RotationToken };
  }
  const fields = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'event'}: ${message}`);
  throw new RotorError('function.invalid-event', {
    what: `this is no event of a rotation: ${fields.join('; ')}`,
  });
}

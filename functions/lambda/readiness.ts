import { RotorError } from '../../core/errors.ts';
import type { RotationEvent } from './event.ts';

/** What DescribeSecret says of a secret's rotation. */
export interface SecretState {
  readonly rotationEnabled: boolean | undefined;
  /** Staging labels by version. */
  readonly stages: Readonly<Record<string, readonly string[]>>;
}

/**
 * The checks that come before every step, those of AWS's own functions: a version that is current already has been
 * rotated (the step is a repetition), any other must carry AWSPENDING.
 * @throws RotorError `function.not-rotatable`
 */
export function decideReadiness(state: SecretState, event: RotationEvent): 'go' | 'done-already' {
  const { secretId, versionId } = event;
  if (state.rotationEnabled === false) {
    throw new RotorError('function.not-rotatable', {
      what: `secret ${secretId} is not enabled for rotation`,
      hint: 'Enable rotation of the secret with this function (`aws secretsmanager rotate-secret --rotation-lambda-arn ...`).',
    });
  }
  const labels = state.stages[versionId];
  if (!labels) {
    throw new RotorError('function.not-rotatable', {
      what: `version ${versionId} of secret ${secretId} has no stage`,
    });
  }
  if (labels.includes('AWSCURRENT')) return 'done-already';
  if (labels.includes('AWSPENDING')) return 'go';
  throw new RotorError('function.not-rotatable', {
    what: `version ${versionId} of secret ${secretId} carries ${labels.join(', ') || 'no label'}, not AWSPENDING`,
  });
}

export function currentVersion({ stages }: SecretState): string | undefined {
  return Object.keys(stages).find((id) => stages[id]?.includes('AWSCURRENT'));
}

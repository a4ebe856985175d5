/** The ten steps, in order. docs/saga.md tells what each does, how it is undone and when it is done. */
export const STEPS = [
  'plan',
  'generate',
  'install',
  'verify',
  'publish',
  'deliver',
  'rollout',
  'settle',
  'revoke',
  'prove',
] as const;

export type StepName = (typeof STEPS)[number];

export function stepIndex(step: StepName): number {
  return STEPS.indexOf(step);
}

export function nextStep(step: StepName): StepName | undefined {
  return STEPS[stepIndex(step) + 1];
}

/** From `revoke` on there is only forward. */
export function isForwardOnly(step: StepName): boolean {
  return stepIndex(step) >= stepIndex('revoke');
}

import type { Step } from './context.ts';

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

/** What each step does; a table with fewer steps makes a shorter saga. */
export type StepTable = Readonly<Partial<Record<StepName, Step>>>;

/** The step after `step` that the table has. */
export function nextStep(step: StepName, table: StepTable): StepName | undefined {
  return STEPS.slice(stepIndex(step) + 1).find((name) => table[name] !== undefined);
}

/** From `revoke` on there is only forward. */
export function isForwardOnly(step: StepName): boolean {
  return stepIndex(step) >= stepIndex('revoke');
}

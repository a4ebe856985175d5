import type { StepContext } from '../saga/context.ts';

/**
 * Whether an incident waits for the end of this rotation, because one of its credentials has leaked: then nobody waits any
 * more for what is only cautious, such as the grace time. What is evidence is still waited for.
 */
export async function isHurried(context: StepContext): Promise<boolean> {
  if (context.rotation.hurried) return true;
  const ours = [context.oldVersion, context.newVersion];
  return (await context.versions()).some(({ id, compromised }) => compromised && ours.includes(id));
}

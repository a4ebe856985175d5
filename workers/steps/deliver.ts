import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Done, Step, StepContext } from '../saga/context.ts';
import { collectDead } from './collect.ts';

/** Every target carries the new version, read back from each. */
export const deliver: Step = {
  async perform(context): Promise<Done> {
    return deliverEverywhere(context, await context.newCredential());
  },

  async undo(context): Promise<Done> {
    const old = await context.oldCredential();
    const { facts } = old
      ? await deliverEverywhere(context, old)
      : { facts: { skipped: 'there was no earlier credential' } };
    const unused = context.newVersion ? [context.newVersion] : [];
    return { facts: { ...facts, ...(await collectDead(context, unused)) } };
  },
};

/** Brings `credential` to every target that doesn't hold it yet. */
export async function deliverEverywhere(context: StepContext, credential: Credential): Promise<Done> {
  const targets: { target: string; changed: boolean }[] = [];
  for (const delivery of context.parts.deliveries) {
    const held = await delivery.holds(context.call(), credential);
    if (!held) {
      await delivery.deliver(context.call(), credential);
      if (!(await delivery.holds(context.call(), credential))) {
        throw new RotorError('delivery.drifted', {
          what: `${delivery.target} does not hold what was just written`,
        });
      }
    }
    targets.push({ target: delivery.target, changed: !held });
  }
  return { facts: { targets } };
}

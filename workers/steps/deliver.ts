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
      ? await deliverEverywhere(context, old, 'gone is done')
      : { facts: { skipped: 'there was no earlier credential' } };
    const unused = context.newVersion ? [context.newVersion] : [];
    return { facts: { ...facts, ...(await collectDead(context, unused)) } };
  },
};

/**
 * Brings `credential` to every target that doesn't hold it yet.
 * @param gone what to make of a target whose place is gone (its namespace was deleted): nobody reads there any more, so that
 *   nothing is to be undone or put right
 * @param unseen whether a target that can't be looked at is written by a step that only looks whether all is well
 */
export async function deliverEverywhere(
  context: StepContext,
  credential: Credential,
  gone: 'gone is failed' | 'gone is done' = 'gone is failed',
  unseen: 'unseen is written' | 'unseen is left alone' = 'unseen is written',
): Promise<Done> {
  const targets: { target: string; changed: boolean; gone?: string }[] = [];
  for (const delivery of context.parts.deliveries) {
    const { target } = delivery;
    if (delivery.unseen && unseen === 'unseen is left alone') continue;
    if (await delivery.holds(context.call(), credential)) {
      targets.push({ target, changed: false });
      continue;
    }
    try {
      await delivery.deliver(context.call(), credential);
    } catch (error) {
      if (gone !== 'gone is done' || !isGone(error)) throw error;
      targets.push({ target, changed: true, gone: error.message });
      continue;
    }
    if (!(await delivery.holds(context.call(), credential)))
      throw new RotorError('delivery.drifted', { what: `${target} does not hold what was just written` });
    targets.push({ target, changed: true });
  }
  return { facts: { targets } };
}

/**
 * Before a consumer starts with what is delivered: what somebody else has changed meanwhile is written again. And said, so
 * that a rotation turns back when somebody changes it again and again.
 * @throws RotorError `delivery.drifted`
 */
export async function assertStillDelivered(context: StepContext, credential: Credential): Promise<void> {
  const { facts } = await deliverEverywhere(context, credential, 'gone is failed', 'unseen is left alone');
  const changed = (facts.targets as readonly { target: string; changed: boolean }[]).filter(
    (each) => each.changed,
  );
  if (changed.length === 0) return;
  throw new RotorError('delivery.drifted', {
    what: `somebody else changed ${changed.map(({ target }) => target).join(', ')} after it was delivered; it has been written again`,
    hint: 'Let nobody else write what Rotor delivers.',
  });
}

/** Whether the object, or the place for it, is not there any more. */
export function isGone(error: unknown): error is RotorError {
  return error instanceof RotorError && error.code === 'cluster.not-found';
}

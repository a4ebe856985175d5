import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { DeliverySession } from '../deliveries/delivery.ts';
import type { Known } from '../rollouts/rollout.ts';
import type { Done, Step, StepContext, Wait } from '../saga/context.ts';
import { collectDead } from './collect.ts';
import { patience } from './patience.ts';
import { publish } from './publish.ts';

/** Every target carries the new version, read back from each. */
export const deliver: Step = {
  async perform(context): Promise<Done | Wait> {
    return deliverEverywhere(context, await context.newCredential());
  },

  async undo(context): Promise<Done | Wait> {
    const old = await context.oldCredential();
    // What others copy from the store is the previous version again when the store has it.
    if (old && context.parts.deliveries.some(({ readsStore }) => readsStore)) await publish.undo?.(context);
    const done: Done | Wait = old
      ? await deliverEverywhere(context, old, 'gone is done')
      : { facts: { skipped: 'there was no earlier credential' } };
    if ('waitMs' in done) return done;
    const unused = context.newVersion ? [context.newVersion] : [];
    return { facts: { ...done.facts, ...(await collectDead(context, unused)) } };
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
): Promise<Done | Wait> {
  const targets: { target: string; changed: boolean; gone?: string }[] = [];
  const missing: string[] = [];
  for (const delivery of context.parts.deliveries) {
    const { target } = delivery;
    if (delivery.unseen && unseen === 'unseen is left alone') continue;
    const known = await knownOf(context, delivery);
    if (await delivery.holds(context.call(), credential, known)) {
      targets.push({ target, changed: false });
      continue;
    }
    try {
      await delivery.deliver(context.call(), credential, known);
      const waiting = await delivery.missing?.(context.call(), credential, known);
      // The others need not wait for it.
      if (waiting) missing.push(waiting.notYet);
    } catch (error) {
      if (gone !== 'gone is done' || !isGone(error)) throw error;
      targets.push({ target, changed: true, gone: error.message });
      continue;
    }
    if (delivery.missing) {
      targets.push({ target, changed: true });
      continue;
    }
    if (!(await delivery.holds(context.call(), credential, known)))
      throw new RotorError('delivery.drifted', { what: `${target} does not hold what was just written` });
    targets.push({ target, changed: true });
  }
  const [reason] = missing;
  if (reason !== undefined) return { waitMs: await patience(context, begunOf(context)), reason };
  return { facts: { targets } };
}

/** The time is of the database, as every time of the journal. */
async function knownOf(context: StepContext, { target }: DeliverySession): Promise<Known> {
  const seen = context.position.facts.get('plan')?.beforeDelivery as
    | Readonly<Record<string, unknown>>
    | undefined;
  return { before: seen?.[target], since: begunOf(context) ?? (await context.now()) };
}

function begunOf({ position }: StepContext): Date | undefined {
  const { direction, step, backSince, announcedAt } = position;
  return direction === 'back' ? backSince : announcedAt.get(step);
}

/**
 * Before a consumer starts with what is delivered: what somebody else has changed meanwhile is written again. And said, so
 * that a rotation turns back when somebody changes it again and again.
 * @returns what is to be waited for until it is there again
 * @throws RotorError `delivery.drifted`
 */
export async function assertStillDelivered(
  context: StepContext,
  credential: Credential,
): Promise<Wait | undefined> {
  const done = await deliverEverywhere(context, credential, 'gone is failed', 'unseen is left alone');
  if ('waitMs' in done) return done;
  const changed = (done.facts.targets as readonly { target: string; changed: boolean }[]).filter(
    (each) => each.changed,
  );
  if (changed.length === 0) return undefined;
  throw new RotorError('delivery.drifted', {
    what: `somebody else changed ${changed.map(({ target }) => target).join(', ')} after it was delivered; it has been written again`,
    hint: 'Let nobody else write what Rotor delivers.',
  });
}

/** Whether the object, or the place for it, is not there any more. */
export function isGone(error: unknown): error is RotorError {
  return error instanceof RotorError && error.code === 'cluster.not-found';
}

import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { ConsumerProof } from '../rollouts/rollout.ts';
import type { Done, Step, StepContext, Wait } from '../saga/context.ts';
import { assertStillDelivered, deliverEverywhere, isGone } from './deliver.ts';

/** A rollout may last as long as its consumers need to become healthy; the lease is renewed meanwhile. */
const ROLLOUT_MS = 15 * 60_000;

/** Consumers move to the new version, each proven healthy before the next. */
export const rollout: Step = {
  async perform(context): Promise<Done | Wait> {
    const fresh = await context.newCredential();
    await assertStillDelivered(context, fresh);
    return move(context, fresh);
  },

  /** Consumers read what is delivered, so the previous version is delivered back before they are told. */
  async undo(context): Promise<Done | Wait> {
    const old = await context.oldCredential();
    if (!old) return { facts: { skipped: 'there was no earlier credential' } };
    await deliverEverywhere(context, old, 'gone is done');
    try {
      return await move(context, old);
    } catch (error) {
      if (!isGone(error)) throw error;
      // It was there a moment ago. The next look finds that there is nothing left to move back.
      const { code, message, hint } = error;
      throw new RotorError(code, { what: message, hint, kind: 'retryable', cause: error });
    }
  },
};

async function move(context: StepContext, credential: Credential): Promise<Done | Wait> {
  const { direction, backSince, announcedAt } = context.position;
  const begun = direction === 'back' ? backSince : announcedAt.get('rollout');
  const proofs: ConsumerProof[] = [];
  for (const consumer of context.parts.rollouts) {
    const seen = await consumer.move(context.call(ROLLOUT_MS), credential, context.position.direction);
    if ('notYet' in seen) return { waitMs: await patience(context, begun), reason: seen.notYet };
    proofs.push(seen);
  }
  return { facts: { proofs } };
}

/** Cleans up what consumers kept for the way back. @returns what is still to be waited for */
export async function finishRollouts(context: StepContext): Promise<Wait | undefined> {
  const fresh = await context.newCredential();
  // Pods that start now read what is there now.
  if (context.parts.rollouts.some(({ finish }) => finish)) await assertStillDelivered(context, fresh);
  for (const consumer of context.parts.rollouts) {
    const seen = await consumer.finish?.(context.call(ROLLOUT_MS), fresh);
    if (seen)
      return {
        waitMs: await patience(context, context.position.announcedAt.get('settle')),
        reason: seen.notYet,
      };
  }
  return undefined;
}

/** Often at first, since many consumers move within seconds; then less and less, up to ten seconds. */
async function patience({ now }: StepContext, begun: Date | undefined): Promise<number> {
  const current = await now();
  const elapsedMs = current.getTime() - (begun ?? current).getTime();
  return Math.round(Math.min(10_000, Math.max(200, elapsedMs / 10)));
}

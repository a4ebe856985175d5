import type { Credential } from '../../core/credential.ts';
import type { ConsumerProof } from '../rollouts/rollout.ts';
import type { Done, Step, StepContext } from '../saga/context.ts';
import { deliverEverywhere } from './deliver.ts';

/** A rollout may last as long as its consumers need to become healthy; the lease is renewed meanwhile. */
const ROLLOUT_MS = 15 * 60_000;

/** Consumers move to the new version, each proven healthy before the next. */
export const rollout: Step = {
  async perform(context): Promise<Done> {
    return move(context, await context.newCredential());
  },

  /** Consumers read what is delivered, so the previous version is delivered back before they are told. */
  async undo(context): Promise<Done> {
    const old = await context.oldCredential();
    if (!old) return { facts: { skipped: 'there was no earlier credential' } };
    await deliverEverywhere(context, old);
    return move(context, old);
  },
};

async function move(context: StepContext, credential: Credential): Promise<Done> {
  const proofs: ConsumerProof[] = [];
  for (const consumer of context.parts.rollouts)
    proofs.push(await consumer.move(context.call(ROLLOUT_MS), credential));
  return { facts: { proofs } };
}

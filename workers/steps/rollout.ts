import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Freshness } from '../kubernetes/consumers/followed-consumers.ts';
import type { ConsumerProof, Known, NotYet, RolloutSession } from '../rollouts/rollout.ts';
import { type Mover, nextTurn } from '../rollouts/waves.ts';
import type { Done, Step, StepContext, Wait } from '../saga/context.ts';
import type { Parts } from '../saga/parts.ts';
import type { RolloutLimits } from '../saga/spec.ts';
import { assertStillDelivered, deliverEverywhere, isGone } from './deliver.ts';
import { isHurried } from './hurry.ts';
import { patience } from './patience.ts';
import { publish } from './publish.ts';

/** A rollout may last as long as its consumers need to become healthy; the lease is renewed meanwhile. */
const ROLLOUT_MS = 15 * 60_000;
const ONE_BY_ONE: RolloutLimits = { maxMoving: 1, pauseMs: 0, coalesceMs: 0 };

/** Consumers move to the new version wave by wave, each wave proven healthy before the next. */
export const rollout: Step = {
  async perform(context): Promise<Done | Wait> {
    const fresh = await context.newCredential();
    return (await assertStillDelivered(context, fresh)) ?? move(context, fresh);
  },

  /** Consumers read what is delivered, so the previous version is delivered back before they are told. */
  async undo(context): Promise<Done | Wait> {
    const old = await context.oldCredential();
    if (!old) return { facts: { skipped: 'there was no earlier credential' } };
    // Those who read the store itself, or what others copy from it, find the way back there.
    const { rollouts, deliveries } = context.parts;
    if ([...rollouts, ...deliveries].some(({ readsStore }) => readsStore)) await publish.undo?.(context);
    const delivered = await deliverEverywhere(context, old, 'gone is done');
    if ('waitMs' in delivered) return delivered;
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

interface Member {
  readonly session: RolloutSession;
  readonly wave: number;
}

async function move(context: StepContext, credential: Credential): Promise<Done | Wait> {
  const { direction, backSince, announcedAt } = context.position;
  const limits = await limitsOf(context);
  const known = rememberedOf(context.parts, `${direction} ${credential.versionId}`);
  const pausedMs = await pausesOf(context, limits);
  let freshness: Freshness = 'followed';
  let members = await membersOf(context, freshness);
  for (;;) {
    const movers = members.map(({ session, wave }): Mover => {
      const seen = known.get(session.consumer);
      return { wave, state: seen === undefined ? 'waiting' : seen === 'moving' ? 'moving' : 'proven' };
    });
    const turn = nextTurn(movers, limits, direction, pausedMs);
    if (turn.do === 'done') {
      if (freshness === 'caught-up' || !context.parts.rollouts.some((each) => each.members))
        return { facts: { proofs: proofsOf(members, known) } };
      // Whoever came while the others moved is moved too.
      freshness = 'caught-up';
      members = await membersOf(context, freshness);
      continue;
    }
    if (turn.do === 'pause') return pause(context, turn);
    let proven = false;
    let reason = '';
    for (const index of turn.which) {
      const { session } = members[index] as Member;
      const call = context.call(ROLLOUT_MS);
      const seen = await session.move(
        call,
        credential,
        direction,
        limits.coalesceMs,
        await knownOf(context, session),
      );
      known.set(session.consumer, 'notYet' in seen ? 'moving' : seen);
      if ('notYet' in seen) reason ||= seen.notYet;
      else proven = true;
    }
    const begun = direction === 'back' ? backSince : announcedAt.get('rollout');
    if (!proven) return { waitMs: await patience(context, begun), reason };
  }
}

/** An incident waits for no pause, and shares no rollout with credentials that come later. */
async function limitsOf(context: StepContext): Promise<RolloutLimits> {
  const limits = context.spec.rollout ?? ONE_BY_ONE;
  const waits = limits.pauseMs > 0 || limits.coalesceMs > 0;
  return waits && (await isHurried(context)) ? { ...limits, pauseMs: 0, coalesceMs: 0 } : limits;
}

/** The time is of the database, as every time of the journal. */
async function knownOf(context: StepContext, { consumer }: RolloutSession): Promise<Known> {
  const { position, now, parts } = context;
  const { direction, facts, backSince, announcedAt } = position;
  const begun = direction === 'back' ? backSince : announcedAt.get('rollout');
  const before = facts.get('plan')?.before as Readonly<Record<string, unknown>> | undefined;
  const proofs = (facts.get('rollout')?.proofs ?? []) as readonly ConsumerProof[];
  const proven = direction === 'back' ? undefined : proofs.find((proof) => proof.consumer === consumer)?.pods;
  return {
    before: before?.[consumer],
    since: begun ?? (await now()),
    mayWait: parts.rotator?.capabilities.overlap !== 'none' && !(await isHurried(context)),
    ...(announcedAt.has('deliver') ? { changedSince: announcedAt.get('deliver') as Date } : {}),
    ...(proven === undefined ? {} : { proven }),
  };
}

/** Those that the policy lists, and in place of each that stands for many those that there are now. */
async function membersOf(context: StepContext, freshness: Freshness): Promise<readonly Member[]> {
  const members: Member[] = [];
  for (const [index, session] of context.parts.rollouts.entries()) {
    const wave = context.spec.consumers[index]?.wave ?? 0;
    const all = session.members ? await session.members(context.call(60_000), freshness) : [session];
    members.push(...all.map((each) => ({ session: each, wave })));
  }
  return members;
}

type Remembered = Map<string, ConsumerProof | 'moving'>;

const remembered = new WeakMap<Parts, { readonly of: string; readonly consumers: Remembered }>();

/** What this worker has seen in this turn, so that those who are proven aren't asked at every look at the others. */
function rememberedOf(parts: Parts, of: string): Remembered {
  const found = remembered.get(parts);
  if (found?.of === of) return found.consumers;
  const consumers: Remembered = new Map();
  remembered.set(parts, { of, consumers });
  return consumers;
}

function proofsOf(members: readonly Member[], known: Remembered): readonly ConsumerProof[] {
  return members.flatMap(({ session }) => {
    const seen = known.get(session.consumer);
    return seen === undefined || seen === 'moving' ? [] : [seen];
  });
}

/** When the pause before each wave began, in the journal: whichever worker comes next goes by it. */
async function pausesOf(context: StepContext, { pauseMs }: RolloutLimits) {
  if (pauseMs === 0) return () => undefined;
  const now = (await context.now()).getTime();
  const begun = pausesNoted(context);
  return (wave: number) => {
    const since = begun[wave];
    return since === undefined ? undefined : now - Date.parse(since);
  };
}

function pausesNoted({ position }: StepContext): Readonly<Record<string, string>> {
  return (position.noted.pauses ?? {}) as Readonly<Record<string, string>>;
}

async function pause(
  context: StepContext,
  { wave, forMs, begins }: { readonly wave: number; readonly forMs: number; readonly begins: boolean },
): Promise<Wait> {
  const wait = { waitMs: forMs, reason: `a pause before wave ${wave}: those before are proven` };
  if (!begins) return wait;
  const pauses = { ...pausesNoted(context), [wave]: (await context.now()).toISOString() };
  return { ...wait, note: { pauses } };
}

/** Cleans up what consumers kept for the way back. @returns what is still to be waited for */
export async function finishRollouts(context: StepContext): Promise<Wait | undefined> {
  const fresh = await context.newCredential();
  // Pods that start now read what is there now.
  if (context.parts.rollouts.some(({ finish }) => finish)) {
    const missing = await assertStillDelivered(context, fresh);
    if (missing) return missing;
  }
  for (const { session } of await membersOf(context, 'followed')) {
    const seen = await session.finish?.(context.call(ROLLOUT_MS), fresh, await knownOf(context, session));
    if (seen) return settling(context, seen.notYet);
  }
  return undefined;
}

/**
 * The last look before the old credential dies: who came since the rollout, or went back to another version, is moved again.
 * @returns their proofs; undefined when nobody can be asked twice
 */
export async function proveAgain(
  context: StepContext,
): Promise<Wait | { readonly proofs: readonly ConsumerProof[] } | undefined> {
  const asked = context.parts.rollouts.filter(({ members, provesAgain }) => members || provesAgain);
  if (asked.length === 0) return undefined;
  const fresh = await context.newCredential();
  const proofs: ConsumerProof[] = [];
  for (const one of asked) {
    for (const session of (await one.members?.(context.call(60_000), 'caught-up')) ?? [one]) {
      const seen = await stillMoved(context, session, fresh);
      if (seen && 'notYet' in seen) return settling(context, seen.notYet);
      if (seen) proofs.push(seen);
    }
  }
  return { proofs };
}

/** @returns undefined for one that somebody has deleted since it moved: nothing of it uses anything */
async function stillMoved(
  context: StepContext,
  session: RolloutSession,
  fresh: Credential,
): Promise<ConsumerProof | NotYet | undefined> {
  try {
    return await session.move(context.call(ROLLOUT_MS), fresh, 'forward', 0, await knownOf(context, session));
  } catch (error) {
    if (error instanceof RotorError && error.code === 'cluster.not-found') return undefined;
    throw error;
  }
}

async function settling(context: StepContext, reason: string): Promise<Wait> {
  return { waitMs: await patience(context, context.position.announcedAt.get('settle')), reason };
}

import { RotorError } from '../../core/errors.ts';
import type { Done, Step, StepContext, Wait } from '../saga/context.ts';

/** Makes the provider accept the new credential. */
export const install: Step = {
  async probe(context): Promise<Done | undefined> {
    const { rotator } = context.parts;
    if (rotator.capabilities.overlap === 'no-provider') return undefined;
    const pending = await context.newCredential();
    const accepted = (await rotator.attempt(context.call(), pending)) === 'accepted';
    return accepted ? { facts: { identity: pending.identity, probed: true } } : undefined;
  },

  async perform(context): Promise<Done | Wait> {
    const pending = await context.newCredential();
    const { rotator } = context.parts;
    if (rotator.prepare && !isPrepared(context)) {
      await rotator.prepare(context.call(), pending);
      return { waitMs: 0, reason: 'it is prepared', note: { prepared: true } };
    }
    await context.parts.rotator.install(context.call(), pending, await context.oldCredential());
    return { facts: { identity: pending.identity } };
  },

  async undo(context): Promise<Done | Wait> {
    const { rotator } = context.parts;
    const { position } = context;
    if (rotator.prepare && !isPrepared(context) && !position.doneAt.has('install'))
      return { facts: { skipped: 'the provider was not asked to accept it' } };
    const lingers = await lingering(context);
    if (lingers) return lingers;
    const pending = await context.newCredential();
    try {
      await rotator.uninstall(context.call(), pending, await context.oldCredential());
    } catch (thrown) {
      const confirmedBy = await confirmed(context, thrown);
      if (confirmedBy === undefined) throw thrown;
      return { facts: { note: `not tried; confirmed by ${confirmedBy}`, confirmedBy } };
    }
    return { facts: { refusedAgain: pending.identity } };
  },
};

function isPrepared({ position }: StepContext): boolean {
  return position.notes.get('install')?.prepared === true;
}

/** A call without an answer may still have effect, and must not have it after it was taken back. */
async function lingering({ parts, position, now }: StepContext): Promise<Wait | undefined> {
  const { lingersMs } = parts.rotator;
  if (lingersMs === undefined || !position.unanswered.has('install')) return undefined;
  const since = position.backSince ?? (await now());
  const waitMs = lingersMs - ((await now()).getTime() - since.getTime());
  if (waitMs <= 0) return undefined;
  return { waitMs, reason: 'a call that was not answered may still be at work' };
}

/** Where nothing but a person can find out, the person who goes on has the last word. @returns who that is */
async function confirmed(context: StepContext, thrown: unknown): Promise<string | undefined> {
  const asks = thrown instanceof RotorError && thrown.code === 'rotation.needs-human';
  if (!asks || context.parts.rotator.capabilities.leavesOld !== 'untried') return undefined;
  return context.resumedBy();
}

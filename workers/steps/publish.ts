import { RotorError } from '../../core/errors.ts';
import type { VersionChange } from '../../ledger/versions.ts';
import type { Done, Step, StepContext } from '../saga/context.ts';
import type { Parts } from '../saga/parts.ts';

/** The version that was promoted back with these parts, which a worker keeps for as long as it works on a rotation. */
const promotedBack = new WeakMap<Parts, string>();

/** The pending version becomes current in the store, the current one previous. */
export const publish: Step = {
  async probe(context): Promise<Done | undefined> {
    const { store } = context.parts;
    const { path } = context.spec.store;
    const current = await store.read(context.call(), path, 'current');
    if (!current || current.versionId !== context.newVersion) return undefined;
    // Nothing moves any more, but the store may have more to do until every reader sees it.
    await store.promote(context.call(), path, current.versionId, undefined);
    return published(context);
  },

  async perform(context): Promise<Done> {
    const id = context.newVersion as string;
    const { store } = context.parts;
    const { path } = context.spec.store;
    const before = context.position.facts.get('plan')?.storeCurrent as string | null;
    const { rotator } = context.parts;
    if (rotator.finish)
      await rotator.finish(context.call(), await context.newCredential(), await context.oldCredential());
    await store.promote(context.call(), path, id, before ?? undefined);
    await assertCurrent(context, id);
    return published(context);
  },

  async undo(context): Promise<Done> {
    const { store } = context.parts;
    const { path } = context.spec.store;
    const { oldVersion: old, newVersion } = context;
    const id = newVersion as string;
    const current = await store.read(context.call(), path, 'current');
    const now = current?.versionId;
    // Promoted back already: by an attempt whose record was lost, or before consumers that read the store went back.
    if (!old || (now !== id && now !== old)) return { facts: { current: now ?? null } };
    // Also when it is current again: a store that decides first and writes then may not have written it yet. Once is enough
    // for a worker that looks again and again whether consumers have gone back.
    if (now !== old || promotedBack.get(context.parts) !== old) {
      await store.promote(context.call(), path, old, id);
      await assertCurrent(context, old);
    }
    promotedBack.set(context.parts, old);
    return {
      facts: { current: old },
      versions: [
        { id: old, state: 'current' },
        { id, state: 'pending' },
      ],
    };
  },
};

/** Reads back what the store says it has done. */
async function assertCurrent(context: StepContext, id: string): Promise<void> {
  const { path } = context.spec.store;
  const current = await context.parts.store.read(context.call(), path, 'current');
  if (current?.versionId === id) return;
  const which = id === context.newVersion ? 'new' : 'old';
  throw new RotorError('store.conflict', {
    what: `the store at ${path} does not show the ${which} version as current`,
  });
}

function published(context: StepContext): Done {
  const id = context.newVersion as string;
  const versions: VersionChange[] = [{ id, state: 'current' }];
  if (context.oldVersion) versions.push({ id: context.oldVersion, state: 'previous' });
  return { facts: { current: id }, versions };
}

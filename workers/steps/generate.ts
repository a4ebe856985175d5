import { type Credential, decodeCredential, encodeCredential, inheriting } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Done, Step, StepContext } from '../saga/context.ts';

/** Makes the new credential and stages it in the store as pending. The ledger knows its id before it exists. */
export const generate: Step = {
  announce(context) {
    const id = context.newId();
    return { facts: { version: id }, newVersion: id, versions: [{ id, state: 'pending' }] };
  },

  async probe(context): Promise<Done | undefined> {
    const id = required(context);
    const found = await context.parts.store.read(context.call(), context.spec.store.path, { versionId: id });
    return found && outcome(context, decodeCredential(id, found.document, context.parts.rotator.format));
  },

  async perform(context): Promise<Done> {
    const id = required(context);
    const { store, rotator } = context.parts;
    const { path } = context.spec.store;
    const old = await context.oldCredential();
    if (rotator.stagesItself) {
      const made = await rotator.generate(context.call(), id, old);
      return outcome(context, await stagedByItself(context, id, made));
    }
    const credential = inheriting(await rotator.generate(context.call(), id, old), old);
    const document = encodeCredential(credential);
    try {
      await store.stage(context.call(), path, id, document);
    } catch (thrown) {
      const earlier = await stagedEarlier(context, id, thrown);
      if (!earlier) throw thrown;
      return outcome(context, earlier);
    }
    const staged = await store.read(context.call(), path, 'pending');
    if (staged?.versionId !== id || !staged.document.equals(document)) {
      throw new RotorError('store.conflict', { what: `the staged version can't be read back at ${path}` });
    }
    return outcome(context, credential);
  },

  async undo(context): Promise<Done> {
    const id = required(context);
    const { store } = context.parts;
    const { path } = context.spec.store;
    const current = await store.read(context.call(), path, 'current');
    // A first credential has no earlier one to go back to: the store keeps it, and the ledger knows it is dead.
    if (current?.versionId !== id) await store.discard(context.call(), path, id);
    return { facts: { discarded: id }, versions: [{ id, state: 'discarded' }] };
  },
};

/** What a foreign program says that it has staged counts as staged only when the store has it. */
async function stagedByItself(context: StepContext, id: string, made: Credential): Promise<Credential> {
  const { store, rotator } = context.parts;
  const { path } = context.spec.store;
  const staged = await store.read(context.call(), path, 'pending');
  if (staged?.versionId === id) {
    const credential = decodeCredential(id, staged.document, rotator.format);
    const same = Object.keys(made.secrets).every((name) => {
      const [said, kept] = [made.secrets[name], credential.secrets[name]];
      return said !== undefined && kept?.equals(said);
    });
    if (same) return credential;
  }
  throw new RotorError('store.conflict', { what: `the staged version can't be read back at ${path}` });
}

/**
 * The id is this rotation's own, so another document under it comes from an attempt of its own whose worker lost the
 * rotation while it was staging: that one counts.
 */
async function stagedEarlier(
  context: StepContext,
  id: string,
  thrown: unknown,
): Promise<Credential | undefined> {
  if (!(thrown instanceof RotorError) || thrown.code !== 'store.conflict') return undefined;
  const { store, rotator } = context.parts;
  const { path } = context.spec.store;
  const found = await store.read(context.call(), path, { versionId: id });
  if (!found) return undefined;
  await store.stage(context.call(), path, id, found.document);
  return decodeCredential(id, found.document, rotator.format);
}

function outcome(context: StepContext, credential: Credential): Done {
  const { versionId: id, identity } = credential;
  const fingerprint = context.fingerprint(credential);
  return { facts: { version: id, identity }, versions: [{ id, state: 'pending', identity, fingerprint }] };
}

function required(context: StepContext): string {
  if (context.newVersion) return context.newVersion;
  throw new RotorError('internal.bug', { what: `rotation ${context.rotation.id} has no announced version` });
}

import type { Done, Step } from '../saga/context.ts';

/** Makes the provider accept the new credential. */
export const install: Step = {
  async probe(context): Promise<Done | undefined> {
    const { rotator } = context.parts;
    if (rotator.capabilities.overlap === 'no-provider') return undefined;
    const pending = await context.newCredential();
    const accepted = (await rotator.attempt(context.call(), pending)) === 'accepted';
    return accepted ? { facts: { identity: pending.identity, probed: true } } : undefined;
  },

  async perform(context): Promise<Done> {
    const pending = await context.newCredential();
    await context.parts.rotator.install(context.call(), pending, await context.oldCredential());
    return { facts: { identity: pending.identity } };
  },

  async undo(context): Promise<Done> {
    const pending = await context.newCredential();
    await context.parts.rotator.uninstall(context.call(), pending, await context.oldCredential());
    return { facts: { refusedAgain: pending.identity } };
  },
};

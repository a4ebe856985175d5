import type { Done, Step } from '../saga/context.ts';

/** Kills the old credential and ends its sessions. From here on there is only forward. */
export const revoke: Step = {
  async perform(context): Promise<Done> {
    const old = await context.oldCredential();
    if (!old) return { facts: { skipped: 'there was no earlier credential' } };
    const { rotator } = context.parts;
    if (rotator.capabilities.overlap === 'no-provider')
      return { facts: { skipped: 'nobody checks this value' } };
    const since = context.position.doneAt.get('install') ?? (await context.now());
    await rotator.revoke(context.call(), old, await context.newCredential(), since);
    return { facts: { identity: old.identity, version: old.versionId } };
  },
};

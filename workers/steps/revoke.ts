import { RotorError } from '../../core/errors.ts';
import type { Done, Step } from '../saga/context.ts';

/** Kills the old credential and ends its sessions. From here on there is only forward. */
export const revoke: Step = {
  async perform(context): Promise<Done> {
    const old = await context.oldCredential();
    if (!old) return { facts: { skipped: 'there was no earlier credential' } };
    const { rotator } = context.parts;
    if (rotator.capabilities.overlap === 'no-provider')
      return { facts: { skipped: 'nobody checks this value' } };
    if (rotator.capabilities.leavesOld)
      return { facts: { skipped: 'the function has no step that revokes the old credential' } };
    const fresh = await context.newCredential();
    // Settling may have taken hours, and a failover in between may have lost the new credential: killing the old one
    // then would leave none.
    if ((await rotator.attempt(context.call(), fresh)) !== 'accepted') {
      await rotator.install(context.call(), fresh, old);
      throw new RotorError('provider.proof-failed', {
        what: `the new credential of ${fresh.identity} was refused before the old one was revoked; it was installed again`,
        kind: 'retryable',
      });
    }
    const since = context.position.doneAt.get('install') ?? (await context.now());
    await rotator.revoke(context.call(), old, fresh, since);
    return { facts: { identity: old.identity, version: old.versionId } };
  },
};

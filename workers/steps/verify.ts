import { RotorError } from '../../core/errors.ts';
import type { Done, Step } from '../saga/context.ts';

/** Uses the new credential for real, before anybody depends on it. */
export const verify: Step = {
  readsOnly: true,
  async perform(context): Promise<Done> {
    const { rotator } = context.parts;
    if (rotator.capabilities.overlap === 'no-provider')
      return { facts: { skipped: 'nobody checks this value' } };
    const pending = await context.newCredential();
    if ((await rotator.attempt(context.call(), pending)) === 'accepted') return { facts: { accepted: true } };
    throw new RotorError('provider.proof-failed', {
      what: `the provider took the new credential of ${pending.identity}, but refuses it`,
      // Changes may take a moment to be accepted everywhere.
      kind: 'retryable',
    });
  },
};

import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Steps } from './steps.ts';

/**
 * Kills the credential of one of two users that take turns, by the contract alone: from the version in use, the function
 * makes the next one for the other user, and sets it; nobody keeps that one, so nobody can log in as that user any more.
 * Repeated without harm.
 * @param victim whose user is given a password that nobody has
 * @param inUse the version of the other user, which works and stays as it is
 * @throws RotorError `provider.unsupported` when the function doesn't turn from one user to the other
 */
export async function overwrite(
  steps: Steps,
  call: Call,
  victim: Credential,
  inUse: Credential,
): Promise<void> {
  const nobodys = await steps.rehearse(call, call.random.uuid(), inUse);
  if (nobodys.identity !== victim.identity || nobodys.identity === inUse.identity) {
    throw new RotorError('provider.unsupported', {
      what: `the function makes the next credential for ${nobodys.identity}, not for ${victim.identity}, which is to be refused`,
      hint: 'See that the function alternates between two users; else choose another `mode` in the policy.',
    });
  }
  try {
    await steps.set(call, nobodys, inUse);
  } finally {
    for (const secret of Object.values(nobodys.secrets)) secret.destroy();
  }
}

import type { Credential } from '../../core/credential.ts';
import { formatDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import type { Done, Step, StepContext, Wait } from '../saga/context.ts';
import { isHurried } from './hurry.ts';
import { finishRollouts, proveAgain } from './rollout.ts';

/** Waits for evidence that the old credential is unused, at least the grace time. */
export const settle: Step = {
  async perform(context): Promise<Done | Wait> {
    const old = await context.oldCredential();
    const { graceMs, evidence } = context.spec.settle;
    const begun = context.position.announcedAt.get('settle') ?? (await context.now());
    const elapsed = (await context.now()).getTime() - begun.getTime();
    let overtime = elapsed - graceMs;
    if (old && overtime < 0 && !(await isDead(context, old))) {
      // Where nobody looks who uses the old one, the grace time is all the evidence there is.
      const mayHurry = evidence !== 'time-only' && (await isHurried(context));
      if (!mayHurry) return { waitMs: -overtime, reason: `grace time: ${formatDuration(-overtime)} left` };
      overtime = elapsed;
    }
    // What consumers kept for the way back during the grace time holds sessions of the old credential too.
    const unfinished = await finishRollouts(context);
    if (unfinished) return unfinished;
    if (!old) return { facts: { skipped: 'there was no earlier credential' } };
    const settled = await unused(context, old, overtime);
    if ('waitMs' in settled) return settled;
    const again = await proveAgain(context);
    // What leaked dies at its time, whoever hasn't moved by then.
    if (again && 'waitMs' in again) return (await isDead(context, old)) ? settled : again;
    return { ...settled, facts: { ...settled.facts, ...again } };
  },

  /** Before the new credential is taken away again: consumers have moved back, their last sessions may still end. */
  async undo(context): Promise<Done | Wait> {
    const { overlap } = context.parts.rotator.capabilities;
    if (!context.oldVersion || overlap === 'no-provider' || overlap === 'none') return { facts: {} };
    const pending = await context.newCredential();
    const begun = context.position.backSince ?? (await context.now());
    const elapsed = (await context.now()).getTime() - begun.getTime();
    return waitUntilUnused(context, pending, 'the new credential', elapsed, (clients) => ({
      facts: { evidence: 'sessions', remaining: clients },
    }));
  },
};

/** The provider's evidence, as far as it shows any. @param overtimeMs since the grace time was over */
async function unused(context: StepContext, old: Credential, overtimeMs: number): Promise<Done | Wait> {
  const { evidence } = context.spec.settle;
  const { overlap } = context.parts.rotator.capabilities;
  if (overlap === 'no-provider') return { facts: { skipped: 'nobody checks this value' } };
  if (overlap === 'none') return { facts: { skipped: 'the old secret was replaced in place' } };
  if (evidence === 'time-only')
    return { facts: { evidence: 'time-only', note: 'nobody looked whether the old one is unused' } };
  const seen = await waitUntilUnused(context, old, 'the old credential', overtimeMs, async (clients) => {
    const until = (await leakOf(context, old))?.revokeBy;
    if (until) return untilRevoked(context, until, clients);
    const { onTimeout, timeoutMs } = context.spec.settle;
    const what = `the old credential ${old.identity} is still used ${formatDuration(timeoutMs)} after the rollout by ${clients}`;
    if (onTimeout === 'roll-back') throw new RotorError('settle.still-used', { what });
    throw new RotorError('rotation.needs-human', {
      what: `${what}; both credentials are valid`,
      hint: `End or reload the named clients, then \`rotor resume rotation/${context.rotation.id}\`.`,
    });
  });
  const waits = 'waitMs' in seen;
  return waits && (await isDead(context, old))
    ? { facts: { skipped: 'the old one leaked and is refused already' } }
    : seen;
}

async function waitUntilUnused(
  context: StepContext,
  credential: Credential,
  name: string,
  elapsedMs: number,
  onTimeout: (clients: string) => Done | Promise<Done | Wait>,
): Promise<Done | Wait> {
  const { timeoutMs } = context.spec.settle;
  const usage = await context.parts.rotator.usage(context.call(), credential, await context.now());
  if (usage.sessions === 0) return { facts: { evidence: 'sessions', sessions: 0 } };
  const seen =
    usage.sessions === undefined ? 'sessions that the admin role may not see' : `${usage.sessions} sessions`;
  const clients = [seen, ...usage.clients].join('; ');
  if (elapsedMs >= timeoutMs) return onTimeout(clients);
  // Often enough that a rotation isn't held up, rarely enough that nobody notices: a tenth of what has passed.
  const waitMs = Math.min(5_000, Math.max(100, elapsedMs / 10), timeoutMs - elapsedMs + 1);
  return { waitMs, reason: `${name} ${credential.identity} is still used by ${clients}` };
}

/** A leaked credential that is refused already, or whose time is over: who still uses it can't be waited for. */
async function isDead(context: StepContext, old: Credential): Promise<boolean> {
  const known = await leakOf(context, old);
  if (!known) return false;
  return (
    known.containedAt !== undefined ||
    (known.revokeBy !== undefined && known.revokeBy <= (await context.now()))
  );
}

async function leakOf(context: StepContext, { versionId }: Credential) {
  return (await context.versions()).find(({ id, compromised }) => id === versionId && compromised);
}

/** Who still uses a leaked one is given until then and no longer: neither a way back nor a human is of any help. */
async function untilRevoked(context: StepContext, until: Date, clients: string): Promise<Wait> {
  const left = Math.max(1, until.getTime() - (await context.now()).getTime());
  return {
    waitMs: Math.min(5_000, left),
    reason: `the leaked credential is still used by ${clients}; it is revoked anyway in ${formatDuration(left)}`,
  };
}

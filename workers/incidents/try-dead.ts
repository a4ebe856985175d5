import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential } from '../../core/credential.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { backoffMs, Deadline } from '../../core/retry.ts';
import type { SecretValue } from '../../core/secret.ts';
import { recordContained } from '../../ledger/containment.ts';
import {
  claimDead,
  type DeadTarget,
  recordAttempt,
  releaseDead,
  reviveTarget,
} from '../../ledger/dead-versions.ts';
import type { Saga } from '../saga/engine.ts';
import { openParts, type Parts } from '../saga/parts.ts';
import type { RotationSpec } from '../saga/spec.ts';
import { keepSessions } from './sessions-seen.ts';

const AT_ONCE = 20;
const LIMIT_MS = 8_000;
/** Longer than the limit, so that nobody else begins before it is given up. */
export const DEAD_LEASE_MS = 10_000;
const BACKOFF = { baseMs: 1_000, maxMs: 60_000 } as const;
const MAX_TRIES = 8;

type Deps = Pick<Saga, 'ledger' | 'registries' | 'clock' | 'random' | 'log' | 'worker'>;
type Dead = DeadTarget<RotationSpec>;

/** Tries all long dead versions that are reported and wait for it. */
export async function tryDead(deps: Deps): Promise<void> {
  const due = await claimDead<RotationSpec>(deps.ledger, DEAD_LEASE_MS, AT_ONCE);
  await Promise.all(due.map((each) => tryOne(deps, each)));
}

/**
 * Tries a version that is dead by the record, with the value that the store still has or that the report gave. Should the
 * provider accept it, somebody has brought it back: it is contained at once, and answered as any other leak.
 * @param value as it was reported, where somebody has it in hand
 */
export async function tryOne(deps: Deps, dead: Dead, value?: SecretValue): Promise<void> {
  const { ledger, log, random } = deps;
  const actor = `worker/${deps.worker}`;
  try {
    const outcome = await atProvider(deps, dead, actor, value);
    if (outcome) await recordAttempt(ledger, dead, outcome.outcome, outcome.what, actor);
  } catch (thrown) {
    const error = asRotorError(thrown, `trying a dead version of ${dead.policy}`);
    log.warn({ err: error, policy: dead.policy }, 'a dead version could not be tried');
    const given = dead.tries >= MAX_TRIES || error.kind === 'terminal';
    // What the reporter's process can't do, a worker may.
    const work =
      given && !value
        ? recordAttempt(ledger, dead, 'failed', error.message, actor)
        : releaseDead(ledger, dead, value ? 0 : backoffMs(dead.tries, BACKOFF, random.int(1_000) / 1_000));
    await work.catch(() => undefined);
  }
}

interface Outcome {
  readonly outcome: 'refused' | 'not-tried';
  readonly what: string;
}

/** @returns undefined when it was accepted, which is on record already */
async function atProvider(
  { ledger, registries, clock, random, log }: Deps,
  dead: Dead,
  actor: string,
  value: SecretValue | undefined,
): Promise<Outcome | undefined> {
  const { spec, fence, versionId, revokedAt, currentAt } = dead;
  const proof = revokedAt
    ? `it was refused in a real attempt at ${revokedAt.toISOString()}`
    : currentAt
      ? 'somebody replaced it in its store, or killed it by hand'
      : 'it never was in use';
  if (!spec) return { outcome: 'not-tried', what: `the policy has no rotation to try it by; ${proof}` };
  const call: Call = { deadline: Deadline.after(LIMIT_MS, clock), fence, clock, random, log };
  const parts = openParts(spec, registries);
  try {
    if (parts.rotator.capabilities.overlap === 'no-provider')
      return { outcome: 'not-tried', what: 'nobody checks this value' };
    if (parts.rotator.capabilities.leavesOld === 'untried')
      return { outcome: 'not-tried', what: `its rotation function can try new credentials only; ${proof}` };
    const leaked = await credentialOf(parts, call, dead, spec, value);
    if (!leaked)
      return {
        outcome: 'not-tried',
        what: `neither the report nor the store at ${spec.store.path} has the value of version ${versionId} any more; ${proof}`,
      };
    if ((await parts.rotator.attempt(call, leaked)) === 'refused')
      return { outcome: 'refused', what: `${leaked.identity || 'it'} was tried for real and refused` };
    const what = `${leaked.identity} was revoked, and the provider accepts it again: somebody has brought it back`;
    log.error({ policy: dead.policy, version: versionId }, what);
    await ledger.transaction(async (transaction) => {
      await reviveTarget(transaction, dead);
      await recordAttempt(transaction, dead, 'accepted', what, actor);
    });
    try {
      await containAgain({ ledger, log }, parts, call, dead, leaked);
      await recordContained(ledger, dead, actor, 'again');
    } catch (thrown) {
      log.warn({ err: asRotorError(thrown, 'disabling it again') }, 'those who contain leaks go on with it');
      await releaseDead(ledger, dead, 0);
    }
    return undefined;
  } finally {
    await parts.close();
  }
}

async function credentialOf(
  { store, rotator }: Parts,
  call: Call,
  { versionId, identity }: Dead,
  spec: RotationSpec,
  value: SecretValue | undefined,
): Promise<Credential | undefined> {
  const found = await store.read(call, spec.store.path, { versionId });
  if (found) return decodeCredential(versionId, found.document, rotator.format);
  if (!value) return undefined;
  return { versionId, identity, fields: {}, secrets: { [rotator.format.secrets[0]]: value } };
}

async function containAgain(
  { ledger, log }: Pick<Deps, 'ledger' | 'log'>,
  { rotator }: Parts,
  call: Call,
  dead: Dead,
  leaked: Credential,
): Promise<void> {
  const { policy } = dead;
  const { seen, kept } = keepSessions(ledger, log, dead);
  await rotator.contain?.(call, leaked, seen);
  await kept();
  if (rotator.contain && (await rotator.attempt(call, leaked)) === 'refused') return;
  throw new RotorError('provider.proof-failed', {
    what: `${policy}: ${leaked.identity} could not be disabled again yet: its rotation goes on`,
    kind: 'retryable',
  });
}

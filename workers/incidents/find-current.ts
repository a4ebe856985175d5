import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential, primarySecret } from '../../core/credential.ts';
import { asRotorError } from '../../core/errors.ts';
import { backoffMs, Deadline } from '../../core/retry.ts';
import {
  type CurrentLook,
  claimCurrentLooks,
  endCurrentLook,
  isKnownCurrent,
  recordFound,
} from '../../ledger/current-looks.ts';
import type { Saga } from '../saga/engine.ts';
import { initialCredential } from '../saga/initial.ts';
import { openParts } from '../saga/parts.ts';
import type { RotationSpec } from '../saga/spec.ts';

/** Policies at once in this process: nobody waits for it. */
const AT_ONCE = 4;
const LIMIT_MS = 15_000;
/** Longer than the limit, so that nobody else begins before it is given up. */
const HOLD_MS = 20_000;
/** A look asks the store for its versions, and reads a secret only where it is new. */
const EVERY_MS = 6 * 3_600_000;
/** After a rotation the store is looked at soon: what was put there meanwhile is on record then. */
const ROTATING_MS = 60_000;
const BACKOFF = { baseMs: 10_000, maxMs: EVERY_MS } as const;

type Deps = Pick<Saga, 'ledger' | 'registries' | 'clock' | 'random' | 'log' | 'worker' | 'fingerprintKey'>;

/**
 * Looks where credentials are kept for versions that no rotation has made: what was there before Rotor, and what somebody put
 * there since. Their fingerprints are put on record, so that a leak of them is known by its value.
 * @param policyUids undefined: all that are due
 */
export async function findCurrent(
  deps: Deps,
  stop?: AbortSignal,
  policyUids?: readonly string[],
): Promise<void> {
  while (!stop?.aborted) {
    const due = await claimCurrentLooks<RotationSpec>(deps.ledger, AT_ONCE, HOLD_MS, policyUids);
    await Promise.all(due.map((look) => lookFor(deps, look)));
    if (due.length < AT_ONCE) return;
  }
}

async function lookFor(deps: Deps, look: CurrentLook<RotationSpec>): Promise<void> {
  const { ledger, log, random, worker } = deps;
  const { policyUid, policy, tries } = look;
  if (look.rotating) return endCurrentLook(ledger, policyUid, ROTATING_MS, undefined);
  try {
    const found = await unknownCurrent(deps, look);
    if (found && (await recordFound(ledger, policyUid, found, `worker/${worker}`)))
      log.info({ policy, version: found.id }, 'a version that no rotation made is on record');
    await endCurrentLook(ledger, policyUid, EVERY_MS, undefined);
  } catch (thrown) {
    const error = asRotorError(thrown, `looking for the current version of ${policy}`);
    if (error.code === 'ledger.unavailable') throw error;
    log.warn({ err: error, policy }, 'a leak of what is current now would not be known by its value');
    const againInMs = backoffMs(tries + 1, BACKOFF, random.int(1_000) / 1_000);
    await endCurrentLook(ledger, policyUid, againInMs, error.message);
  }
}

/** @returns undefined when there is none, or it is on record */
async function unknownCurrent(
  { ledger, registries, clock, random, log, fingerprintKey }: Deps,
  { policyUid, spec }: CurrentLook<RotationSpec>,
): Promise<{ readonly id: string; readonly identity: string; readonly fingerprint: string } | undefined> {
  const call: Call = { deadline: Deadline.after(LIMIT_MS, clock), fence: 0n, clock, random, log };
  const parts = openParts(spec, registries);
  const { format } = parts.rotator;
  const print = (credential: Credential) =>
    primarySecret(credential, format).fingerprint(fingerprintKey).toString('hex');
  try {
    const current = (await parts.store.list(call, spec.store.path)).find(({ stages }) =>
      stages.includes('current'),
    );
    if (current && (await isKnownCurrent(ledger, policyUid, current.versionId))) return undefined;
    const found = await parts.store.read(call, spec.store.path, 'current');
    const credential = found
      ? decodeCredential(found.versionId, found.document, format)
      : (await initialCredential(spec, policyUid, format, print))?.credential;
    if (!credential || (!found && (await isKnownCurrent(ledger, policyUid, credential.versionId))))
      return undefined;
    const { versionId, identity } = credential;
    const fingerprint = print(credential);
    found?.document.destroy();
    for (const secret of Object.values(credential.secrets)) secret.destroy();
    return { id: versionId, identity, fingerprint };
  } finally {
    await parts.close();
  }
}

import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential } from '../../core/credential.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { type DriftFinding, type DriftSubject, driftSubject } from '../../ledger/drift.ts';
import { listVersions } from '../../ledger/versions.ts';
import type { DeliverySession, Difference } from '../deliveries/delivery.ts';
import type { Saga } from '../saga/engine.ts';
import { openParts, type Parts } from '../saga/parts.ts';
import { deadVersions } from '../steps/collect.ts';
import { inWords, taskOf } from './decide.ts';

/** What a look needs of a worker. */
export type Looking = Pick<Saga, 'ledger' | 'registries' | 'clock' | 'random' | 'log'>;

/** Versions whose leftovers are looked for: those that the end of their rotation could not remove. */
const DEAD = 3;

/**
 * Looks whether what the last rotation delivered is still there, and repairs it where the policy says so, by the fence of
 * that rotation: a rotation that begins meanwhile has a higher one, and what it writes is never overwritten.
 * @param ms how long it may take; nothing is begun after
 * @returns undefined when there is nothing to look at
 */
export async function look(
  looking: Looking,
  subject: DriftSubject,
  ms: number,
): Promise<readonly DriftFinding[] | undefined> {
  const { ledger, registries, clock, random } = looking;
  const log = looking.log.child({ policy: subject.policy, part: 'drift' });
  const renews = (kind: string) =>
    registries.stores.some((store) => store.kind === kind && store.renews === true);
  const task = taskOf(subject, renews);
  if ('skip' in task) return undefined;
  const call: Call = { deadline: Deadline.after(ms, clock), fence: subject.fence, clock, random, log };
  const parts = openParts(task.spec, registries);
  try {
    const credential = await currentOf(looking, call, parts, subject, task.spec.store.path);
    const findings: DriftFinding[] = [...(await renewed(call, parts, task))];
    for (const delivery of parts.deliveries) {
      if (delivery.unseen) continue;
      const seen = await lookAt(call, delivery, credential);
      if ('unknown' in seen) {
        findings.push({ target: delivery.target, what: seen.unknown, outcome: 'unknown' });
        continue;
      }
      if (seen.differences.length === 0) continue;
      const outcome =
        task.mode === 'report'
          ? ({ outcome: 'reported' } as const)
          : await repair(looking, call, parts, delivery, credential, subject);
      if (!outcome) return undefined;
      for (const [target, what] of inWords(seen.differences)) findings.push({ target, what, ...outcome });
    }
    await collectLeftovers(call, parts, ledger, subject.policyUid);
    return findings;
  } finally {
    await parts.close();
  }
}

/** The one that the last rotation has proven. @throws RotorError `store.not-found`, `store.conflict` */
async function currentOf(
  { ledger }: Looking,
  call: Call,
  parts: Parts,
  { policyUid, policy }: DriftSubject,
  path: string,
): Promise<Credential> {
  const found = await parts.store.read(call, path, 'current');
  if (!found)
    throw new RotorError('store.not-found', { what: `the store has no current version at ${path}` });
  const known = (await listVersions(ledger, policyUid)).find(({ id }) => id === found.versionId);
  if (known?.state !== 'current' || known.compromised || known.found)
    throw new RotorError('store.conflict', {
      what: `version ${found.versionId} at ${path} is not the one that ${policy} was last rotated to`,
    });
  return decodeCredential(found.versionId, found.document, parts.rotator.format);
}

/** What grew old in the store itself, though the credential is the same. */
async function renewed(
  call: Call,
  { store }: Parts,
  { mode, spec }: Extract<ReturnType<typeof taskOf>, { mode: string }>,
): Promise<readonly DriftFinding[]> {
  if (!store.renew) return [];
  const { path } = spec.store;
  const target = `store path ${path}`;
  try {
    const what = await store.renew(call, path, mode === 'repair');
    return what === undefined ? [] : [{ target, what, outcome: mode === 'repair' ? 'repaired' : 'reported' }];
  } catch (thrown) {
    const error = asRotorError(thrown, `renewing ${target}`);
    return error.code === 'store.fenced' ? [] : [{ target, what: error.message, outcome: 'unknown' }];
  }
}

async function lookAt(
  call: Call,
  delivery: DeliverySession,
  credential: Credential,
): Promise<{ readonly differences: readonly Difference[] } | { readonly unknown: string }> {
  try {
    const differences = delivery.differences
      ? await delivery.differences(call, credential)
      : (await delivery.holds(call, credential))
        ? []
        : [{ target: delivery.target, what: 'it is not what was delivered' }];
    return { differences };
  } catch (thrown) {
    return { unknown: asRotorError(thrown, `looking at ${delivery.target}`).message };
  }
}

type Outcome = Pick<DriftFinding, 'outcome' | 'why'>;

/**
 * A credential that the provider refuses is put nowhere: somebody may have changed it by hand at both ends.
 * @returns undefined when a rotation has begun: it delivers by itself
 */
async function repair(
  { ledger }: Looking,
  call: Call,
  { rotator }: Parts,
  delivery: DeliverySession,
  credential: Credential,
  subject: DriftSubject,
): Promise<Outcome | undefined> {
  try {
    const checked = rotator.capabilities.overlap !== 'no-provider';
    if (checked && (await rotator.attempt(call, credential)) !== 'accepted')
      return {
        outcome: 'reported',
        why: "the provider refuses the store's current credential, so that it was not put back",
      };
    const now = await driftSubject(ledger, subject.policyUid);
    if (!now || now.rotating || now.paused || now.fence !== subject.fence) return undefined;
    await delivery.deliver(call, credential);
    if (await delivery.holds(call, credential)) return { outcome: 'repaired' };
    if (delivery.missing)
      return { outcome: 'reported', why: 'who writes it was told to do it again; the next look tells' };
    return { outcome: 'failed', why: 'somebody else wrote it again at once' };
  } catch (thrown) {
    const error = asRotorError(thrown, `repairing ${delivery.target}`);
    if (error.code === 'store.fenced') return undefined;
    return { outcome: 'failed', why: `${error.message}. ${error.hint}` };
  }
}

async function collectLeftovers(
  call: Call,
  { deliveries }: Parts,
  ledger: Looking['ledger'],
  policyUid: string,
): Promise<void> {
  const collecting = deliveries.filter(({ collect }) => collect !== undefined);
  if (collecting.length === 0) return;
  const dead = deadVersions(await listVersions(ledger, policyUid)).slice(0, DEAD);
  for (const delivery of dead.length > 0 ? collecting : []) {
    const collected = await delivery.collect?.(call, dead);
    for (const name of collected?.removed ?? [])
      call.log.info({ name }, 'what a dead version left was removed');
  }
}

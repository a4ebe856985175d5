import { RotorError } from '../../core/errors.ts';
import { currentTraceparent, inSpan } from '../../core/telemetry.ts';
import type { Ledger } from '../../ledger/database.ts';
import { createRotations } from '../../ledger/incident-rotations.ts';
import { holderOf } from '../../ledger/incident-targets.ts';
import { getPolicy, type Policy } from '../../ledger/policies.ts';
import { answerRequest } from '../../ledger/rotation-requests.ts';
import {
  createRotation,
  getRotation,
  openRotationOf,
  requestCancel,
  resumeRotation,
  type Trigger,
} from '../../ledger/rotations.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { type Orchestrator, qualified } from './orchestrator.ts';
import { fromLedger, rememberingResources, rotationSpecOf } from './rotation-spec.ts';

/**
 * Creates a rotation within `ledger` (a transaction, perhaps). What happens to it later belongs to the trace of this.
 * @returns its id; undefined when one is open already
 */
export async function createRotationOf(
  orchestrator: Orchestrator,
  ledger: Ledger,
  policy: Policy<PolicySpec>,
  trigger: Trigger,
  requestedBy: string,
): Promise<string | undefined> {
  return inSpan('rotor.request', requestOf(policy, trigger), () =>
    insertRotation(orchestrator, ledger, policy, trigger, requestedBy),
  );
}

/**
 * Creates the rotations that answer an incident, within `ledger` (a transaction).
 * @param holdMs they begin after that long, unless they are let go earlier
 * @returns their ids by the uid of the policy, without those that have an open rotation already
 */
export async function createRotationsOf(
  { random, localStore }: Orchestrator,
  ledger: Ledger,
  policies: readonly Policy<PolicySpec>[],
  requestedBy: string,
  holdMs: number | undefined,
): Promise<ReadonlyMap<string, string>> {
  return inSpan('rotor.request', { 'rotor.trigger': 'incident' }, async () => {
    const resources = rememberingResources(ledger);
    const trace = currentTraceparent();
    const wanted = [];
    for (const policy of policies) {
      const { spec, provider } = await rotationSpecOf(resources, policy, localStore);
      const { deadlineMs } = policy.spec;
      const by = { trigger: 'incident', requestedBy, trace, deadlineMs } as const;
      wanted.push({ id: random.uuid(), policyUid: policy.uid, spec, provider, ...by });
    }
    const created = new Set(await createRotations(ledger, wanted, holdMs));
    return new Map(wanted.filter(({ id }) => created.has(id)).map(({ policyUid, id }) => [policyUid, id]));
  });
}

const requestOf = ({ namespace, name }: Policy<PolicySpec>, trigger: Trigger) => ({
  'rotor.policy': `${namespace}/${name}`,
  'rotor.trigger': trigger,
});

async function insertRotation(
  { random, localStore }: Orchestrator,
  ledger: Ledger,
  policy: Policy<PolicySpec>,
  trigger: Trigger,
  requestedBy: string,
  id = random.uuid(),
): Promise<string | undefined> {
  const { spec, provider } = await rotationSpecOf(fromLedger(ledger), policy, localStore);
  const created = await createRotation(ledger, {
    id,
    policyUid: policy.uid,
    trigger,
    requestedBy,
    spec,
    provider,
    deadlineMs: policy.spec.deadlineMs,
    trace: currentTraceparent(),
  });
  return created ? id : undefined;
}

/**
 * Starts a rotation now, whatever the schedule says.
 * @returns its id
 * @throws RotorError `ledger.conflict` naming the open rotation or the incident whose approval is waited for, `ledger.not-found`
 */
export async function rotateNow(
  orchestrator: Orchestrator,
  policyName: string,
  actor: string,
): Promise<string> {
  const { ledger } = orchestrator;
  const policy = await getPolicy<PolicySpec>(ledger, qualified(policyName));
  return inSpan('rotor.request', requestOf(policy, 'manual'), async (span) => {
    const id = await insertRotation(orchestrator, ledger, policy, 'manual', actor);
    if (id === undefined) {
      const open = await openRotationOf(ledger, policy.uid);
      const holder = open ? undefined : await holderOf(ledger, policy.uid);
      if (holder?.held)
        throw new RotorError('ledger.conflict', {
          what: `policy ${qualified(policyName)} is rotated when incident ${holder.incidentId} is approved, and not before`,
          hint: `Approve it: rotor approve incident/${holder.incidentId}`,
        });
      throw new RotorError('ledger.conflict', {
        what: `policy ${qualified(policyName)} has an open rotation: ${open?.id ?? '(it just ended)'}${open ? `, ${open.state}` : ''}`,
        ...(open?.state === 'needs-human'
          ? { hint: `Settle it first: rotor resume rotation/${open.id}` }
          : {}),
      });
    }
    span.setAttribute('rotor.rotation.id', id);
    await orchestrator.wake(id);
    return id;
  });
}

export type OnceResult =
  | { readonly result: 'started'; readonly rotation: string }
  /** The request was answered before, by this process or another. */
  | { readonly result: 'answered' }
  /** Another rotation is open: ask again when it has ended. */
  | { readonly result: 'busy' };

/**
 * Starts a rotation for a request, whatever the schedule says, and at most one however often and by however many
 * processes the request is made.
 * @param key what makes the request itself; remembered for as long as the policy
 * @throws RotorError `ledger.not-found`
 */
export async function rotateOnce(
  orchestrator: Orchestrator,
  policyName: string,
  key: string,
  actor: string,
): Promise<OnceResult> {
  const { ledger } = orchestrator;
  const policy = await getPolicy<PolicySpec>(ledger, qualified(policyName));
  return inSpan('rotor.request', requestOf(policy, 'manual'), async (span) => {
    const id = orchestrator.random.uuid();
    const answer = await ledger
      .transaction(async (transaction): Promise<OnceResult> => {
        if (!(await answerRequest(transaction, policy.uid, key, id))) return { result: 'answered' };
        const created = await insertRotation(orchestrator, transaction, policy, 'manual', actor, id);
        // What was noted above goes with the transaction.
        if (created === undefined) throw new Busy();
        return { result: 'started', rotation: id };
      })
      .catch((thrown): OnceResult => {
        if (thrown instanceof Busy) return { result: 'busy' };
        throw thrown;
      });
    if (answer.result === 'started') {
      span.setAttribute('rotor.rotation.id', answer.rotation);
      await orchestrator.wake(answer.rotation);
    }
    return answer;
  });
}

/** Thrown to take the note back that a request is answered. */
class Busy extends Error {}

/** @throws RotorError `ledger.conflict` when it has ended */
export async function cancelRotation(
  { ledger, wake }: Orchestrator,
  id: string,
  actor: string,
): Promise<void> {
  const { state } = await getRotation(ledger, id);
  if (!(await requestCancel(ledger, id, actor))) {
    throw new RotorError('ledger.conflict', {
      what: `rotation ${id} is ${state}: there is nothing to cancel`,
      hint: 'Nothing to do.',
    });
  }
  await wake(id);
}

/** Lets a rotation that needed a human go on. @throws RotorError `ledger.conflict` when it doesn't wait for one */
export async function resumeStopped(
  { ledger, wake }: Orchestrator,
  id: string,
  actor: string,
): Promise<void> {
  const { state, policy } = await getRotation(ledger, id);
  const { spec } = await getPolicy<PolicySpec>(ledger, policy);
  if (!(await resumeRotation(ledger, id, actor, spec.deadlineMs))) {
    throw new RotorError('ledger.conflict', {
      what: `rotation ${id} is ${state} and does not wait for anybody`,
      hint: 'Nothing to do.',
    });
  }
  await wake(id);
}

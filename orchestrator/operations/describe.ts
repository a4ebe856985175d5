import { driftOf } from '../../ledger/drift.ts';
import { type AskedBy, requestsAnsweredBy } from '../../ledger/event-requests.ts';
import { type JournalRow, readJournal } from '../../ledger/journal.ts';
import { getPolicy, listPolicies, type Policy } from '../../ledger/policies.ts';
import { getRotation, listRotations, type Rotation } from '../../ledger/rotations.ts';
import { type CredentialVersion, listVersions } from '../../ledger/versions.ts';
import { positionOf } from '../../workers/saga/position.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { type DriftTold, driftTold } from './drift-view.ts';
import { type EvidenceView, evidenceOf } from './evidence.ts';
import { type Orchestrator, qualified } from './orchestrator.ts';

export interface StepView {
  readonly step: string;
  readonly direction: 'forward' | 'back';
  readonly state: 'done' | 'failed' | 'running';
  readonly startedAt: Date | undefined;
  readonly durationMs: number | undefined;
  readonly failures: number;
  readonly facts: Readonly<Record<string, unknown>>;
}

export type RotationView = Omit<Rotation, 'spec' | 'epoch' | 'trace' | 'policyUid'> & {
  readonly durationMs: number | undefined;
  /** Events that asked for it, the first one first. */
  readonly askedBy: readonly AskedBy[];
  readonly steps: readonly StepView[];
  /** The attempts that count: the old credential was refused, the new one accepted. */
  readonly proof:
    | { readonly oldRefused: boolean; readonly newAccepted: boolean; readonly at: string }
    | undefined;
  /** Per consumer and pod which version it runs and how that is known, and the provider's view. */
  readonly evidence: EvidenceView | undefined;
};

/** A rotation with its steps, as people want to see it. */
export async function describeRotation({ ledger }: Orchestrator, id: string): Promise<RotationView> {
  const rotation = await getRotation(ledger, id);
  const journal = await readJournal(ledger, id);
  return {
    ...summaryOf(rotation),
    askedBy: await requestsAnsweredBy(ledger, id),
    steps: stepsOf(journal, rotation.startedAt),
    proof: proofOf(journal),
    evidence: evidenceOf(journal, rotation),
  };
}

/** Without what is for the engine alone. */
export function summaryOf(
  rotation: Rotation,
): Omit<RotationView, 'askedBy' | 'steps' | 'proof' | 'evidence'> {
  const { spec: _spec, epoch: _epoch, trace: _trace, policyUid: _uid, ...view } = rotation;
  const from = rotation.startedAt ?? rotation.createdAt;
  return { ...view, durationMs: rotation.endedAt && rotation.endedAt.getTime() - from.getTime() };
}

/** One line per step and direction; a step that was repeated counts once, with its failures. */
export function stepsOf(journal: readonly JournalRow[], startedAt: Date | undefined): readonly StepView[] {
  const views: StepView[] = [];
  let begun = startedAt;
  for (const { direction, step, event, at, facts } of journal) {
    const last = views.at(-1);
    const same =
      last?.step === step && last.direction === direction && last.state !== 'done' ? views.pop() : undefined;
    const since = same?.startedAt ?? begun ?? at;
    const failures = (same?.failures ?? 0) + (event === 'failed' ? 1 : 0);
    const state = event === 'intent' ? 'running' : event;
    const durationMs = event === 'intent' ? undefined : at.getTime() - since.getTime();
    views.push({
      step,
      direction,
      state,
      // A note that a waiting step left is no new beginning.
      startedAt: event === 'intent' && !('noted' in facts) ? at : since,
      durationMs,
      failures,
      facts,
    });
    if (!('noted' in facts)) begun = at;
  }
  return views;
}

/** The attempts that count, out of a journal. */
export function proofOf(journal: readonly JournalRow[]): RotationView['proof'] {
  const proven = positionOf(journal).facts.get('prove');
  // What a function leaves is tried at best, and never proven dead.
  if (!proven || typeof proven.newAccepted !== 'boolean' || proven.note !== undefined) return undefined;
  return {
    oldRefused: proven.oldRefused === true,
    newAccepted: proven.newAccepted,
    at: String(proven.at ?? ''),
  };
}

export interface PolicyView extends Omit<Policy, 'uid'> {
  /** Seconds since the current credential became current. */
  readonly credentialAgeSeconds: number | undefined;
  readonly drift: DriftTold;
  readonly versions: readonly CredentialVersion[];
  readonly rotations: readonly Omit<RotationView, 'askedBy' | 'steps' | 'proof' | 'evidence'>[];
}

export async function describePolicy(
  { ledger, clock }: Orchestrator,
  policyName: string,
): Promise<PolicyView> {
  const { uid, ...policy } = await getPolicy(ledger, qualified(policyName));
  const versions = await listVersions(ledger, uid);
  const rotations = await listRotations(ledger, { policy: qualified(policyName), limit: 10 });
  const current = versions.find(({ state }) => state === 'current')?.currentAt;
  const credentialAgeSeconds = current && Math.round((clock.now().getTime() - current.getTime()) / 1_000);
  const drift = driftTold(policy.spec as Partial<PolicySpec>, (await driftOf(ledger, [uid])).get(uid));
  return { ...policy, credentialAgeSeconds, drift, versions, rotations: rotations.map(summaryOf) };
}

/** All policies, each with what its deliveries look like. */
export async function listPolicyViews({
  ledger,
}: Orchestrator): Promise<readonly (Omit<Policy, 'uid'> & { readonly drift: DriftTold })[]> {
  const policies = await listPolicies(ledger);
  const looks = await driftOf(
    ledger,
    policies.map(({ uid }) => uid),
  );
  return policies.map(({ uid, ...policy }) => ({
    ...policy,
    drift: driftTold(policy.spec as Partial<PolicySpec>, looks.get(uid)),
  }));
}

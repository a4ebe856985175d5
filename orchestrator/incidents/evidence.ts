import type { Anchor, Verdict } from '../../ledger/audit.ts';
import { sealedEventsAbout } from '../../ledger/audit.ts';
import { verifyTrail } from '../operations/audit.ts';
import { describeRotation, type RotationView } from '../operations/describe.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { describeIncident, type IncidentView } from './describe.ts';
import { type EvidenceRead, type SeenEvidence, seenOf } from './seen.ts';

/** One row of the audit trail, with its place in the chain. */
export interface EvidenceRow {
  readonly seq: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: unknown;
  readonly hash: string;
}

/** Everything about one incident that can be handed to an auditor: nothing in it is a secret. */
export interface EvidenceBundle {
  readonly version: 'rotor.dev/evidence/v1';
  readonly madeAt: string;
  readonly incident: IncidentView;
  readonly rotations: readonly RotationView[];
  /** Who might read it, who had it, who used it. */
  readonly seen: readonly SeenEvidence[];
  /** Who read the Secrets of the leaked versions since they were delivered, as far as clusters tell. */
  readonly reads: readonly EvidenceRead[];
  readonly trail: readonly EvidenceRow[];
  /** Whether the whole chain was intact when the bundle was made, and its head then. */
  readonly chain: { readonly verified: boolean; readonly head: Anchor | undefined; readonly broken?: string };
}

/** @throws RotorError `ledger.not-found` */
export async function evidenceOf(orchestrator: Orchestrator, id: string): Promise<EvidenceBundle> {
  const { ledger, clock, anchorFile } = orchestrator;
  const incident = await describeIncident(orchestrator, id);
  const chain = chainOf(await verifyTrail(ledger, anchorFile));
  const ids = incident.targets.flatMap(({ rotationId }) => rotationId ?? []);
  const rotations: RotationView[] = [];
  for (const each of ids) rotations.push(await describeRotation(orchestrator, each));
  const subjects = [
    `incident/${id}`,
    ...ids.map((each) => `rotation/${each}`),
    ...incident.targets.flatMap(({ versionId }) =>
      versionId === undefined ? [] : [`credential/${versionId}`],
    ),
  ];
  const trail = (await sealedEventsAbout(ledger, subjects)).map((row) => ({
    seq: String(row.seq),
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    detail: row.detail,
    hash: row.hash.toString('hex'),
  }));
  return {
    version: 'rotor.dev/evidence/v1',
    madeAt: clock.now().toISOString(),
    incident,
    rotations,
    ...(await seenOf(ledger, incident.id)),
    trail,
    chain,
  };
}

function chainOf(verdict: Verdict): EvidenceBundle['chain'] {
  return verdict.verified
    ? { verified: true, head: verdict.head }
    : { verified: false, head: undefined, broken: verdict.broken };
}

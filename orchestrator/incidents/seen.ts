import type { Ledger } from '../../ledger/database.ts';
import { leakedVersionsOf, type ObservationKind, observationsOf } from '../../ledger/observations.ts';
import type { SecretRead } from '../../ledger/secret-reads.ts';
import { readsSince } from '../../workers/incidents/gather.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';

/** What was seen of a leaked credential at the time, or in words why it could not be seen. */
export interface SeenEvidence {
  readonly policy: string;
  readonly kind: ObservationKind;
  readonly at: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly problem?: string;
}

/** A read of a Secret that held a leaked version. */
export type EvidenceRead = Omit<SecretRead, 'at'> & {
  readonly policy: string;
  readonly source: string;
  readonly at: string;
};

/** What was seen of the credentials of an incident, and who read them: as it is known now, and as it was kept at the end. */
export async function seenOf(
  ledger: Ledger,
  incidentId: string,
): Promise<{ readonly seen: readonly SeenEvidence[]; readonly reads: readonly EvidenceRead[] }> {
  const versions = await leakedVersionsOf<RotationSpec>(ledger, incidentId);
  const nameOf = new Map(versions.map(({ policyUid, policy }) => [policyUid, policy]));
  const observed = (await observationsOf(ledger, incidentId)).map(
    ({ policyUid, kind, at, facts, problem }) => ({
      policy: nameOf.get(policyUid) ?? '',
      kind,
      at: at.toISOString(),
      facts,
      ...(problem === null ? {} : { problem }),
    }),
  );
  const reads = new Map<string, EvidenceRead>();
  const keep = (read: EvidenceRead) => reads.set(`${read.policy} ${read.source} ${read.auditId}`, read);
  for (const { kind, policy, facts } of observed)
    if (kind === 'reads')
      for (const read of (facts.reads ?? []) as readonly EvidenceRead[]) keep({ ...read, policy });
  for (const version of versions)
    for (const read of await readsSince(ledger, version))
      keep({ ...read, at: read.at.toISOString(), policy: version.policy });
  return {
    seen: observed.filter(({ kind }) => kind !== 'reads'),
    reads: [...reads.values()].sort((a, b) => (a.at < b.at ? -1 : 1)),
  };
}

import type { Ledger } from './database.ts';
import type { VersionState } from './versions.ts';

/**
 * `readers`: who might read it, by RBAC. `pods`: which pods had it. `consumers`: who was proven to have it. `use`: who used it
 * when the report came. `sessions`: who used it when it was contained. `attempt`: what a real attempt with a long dead version
 * gave. `reads`: who read it, by the clusters' audit logs.
 */
export type ObservationKind = 'readers' | 'pods' | 'consumers' | 'use' | 'sessions' | 'attempt' | 'reads';

export interface Observation {
  readonly kind: ObservationKind;
  readonly facts: Readonly<Record<string, unknown>>;
  /** In words, why nothing or not all could be seen. */
  readonly problem?: string | undefined;
}

/**
 * Keeps what was seen. The first look stays, since later ones see less; but one that saw something takes the place of one that
 * failed, and of sessions the look that saw the most stays.
 */
export async function observe(
  ledger: Ledger,
  incidentId: string,
  policyUid: string,
  { kind, facts, problem }: Observation,
): Promise<void> {
  // Not waited for on disk: what is committed durably after it (the containment, the end of the look) makes it durable too.
  await ledger.query(
    `INSERT INTO rotor.incident_observations AS o (incident_id, policy_uid, kind, facts, problem)
     VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (incident_id, policy_uid, kind) DO UPDATE
        SET facts = excluded.facts, problem = excluded.problem, at = excluded.at
      WHERE o.problem IS NOT NULL
         OR (o.kind = 'sessions' AND (excluded.facts ->> 'sessions')::integer > (o.facts ->> 'sessions')::integer)
     RETURNING set_config('synchronous_commit', 'off', true)`,
    [incidentId, policyUid, kind, JSON.stringify(facts), problem ?? null],
    'observe',
  );
}

/** What was seen of each credential of an incident. */
export async function observationsOf(
  ledger: Ledger,
  incidentId: string,
): Promise<
  readonly (Omit<Observation, 'problem'> & {
    readonly policyUid: string;
    readonly at: Date;
    readonly problem: string | null;
  })[]
> {
  return ledger.query(
    `SELECT policy_uid AS "policyUid", kind, at, facts, problem FROM rotor.incident_observations
      WHERE incident_id = $1 ORDER BY policy_uid, at`,
    [incidentId],
  );
}

/** A credential of an incident of which is to be seen what there is to see. */
export interface ToGather<Spec = unknown> {
  readonly incidentId: string;
  readonly policyUid: string;
  readonly policy: string;
  readonly versionId: string | null;
  readonly versionState: VersionState | null;
  /** When consumers could first read it. */
  readonly currentAt: Date | null;
  /** The rotation that made it. */
  readonly madeBy: string | null;
  readonly mode: string;
  /** Of the rotation that answers, or that made the version; null when there was none. */
  readonly spec: Spec | null;
  readonly tries: number;
  /** It is over: only what others told of meanwhile is to be kept. */
  readonly ended: boolean;
}

/** Of target `t`: the rotation that answers (`a`), the version that leaked (`v`), and by what to look at it. */
const leakOf = (target: string) => `LEFT JOIN rotor.rotations a ON a.id = ${target}.rotation_id
       LEFT JOIN rotor.credential_versions v ON v.id = coalesce(${target}.version_id, a.old_version)`;
const SPEC = `coalesce(a.spec, (SELECT r.spec FROM rotor.rotations r WHERE r.policy_uid = t.policy_uid
                                  ORDER BY r.created_at DESC LIMIT 1)) AS spec`;

/** Late news of clusters have come by then. */
const AFTER_END = "interval '5 minutes'";

/**
 * Takes credentials whose evidence is to be gathered, each for a minute and for one process only; those that are revoked first
 * once they are, or after ten seconds, so that a mass of them isn't held up.
 */
export async function claimToGather<Spec>(ledger: Ledger, limit: number): Promise<readonly ToGather<Spec>[]> {
  return ledger.query<ToGather<Spec> & Record<string, unknown>>(
    `UPDATE rotor.incident_targets t
        SET gather_tries = t.gather_tries + 1, gather_at = clock_timestamp() + interval '1 minute'
       FROM (SELECT incident_id, policy_uid FROM rotor.incident_targets
              WHERE gathered_at IS NULL AND gather_at <= clock_timestamp() AND answer <> 'watch'
                AND (mode = 'overlap' OR contained_at IS NOT NULL OR ended_at IS NOT NULL
                     OR gather_tries > 0 OR gather_at <= clock_timestamp() - interval '10 seconds')
              ORDER BY gather_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
       JOIN rotor.incident_targets f USING (incident_id, policy_uid)
       ${leakOf('f')}
      WHERE t.incident_id = due.incident_id AND t.policy_uid = due.policy_uid
     RETURNING t.incident_id AS "incidentId", t.policy_uid AS "policyUid", t.policy, v.id AS "versionId",
               v.state AS "versionState", v.current_at AS "currentAt", 
               (SELECT r.id FROM rotor.rotations r WHERE r.id = v.rotation_id AND r.new_version = v.id) AS "madeBy", t.mode,
               ${SPEC}, t.gather_tries AS tries, coalesce(t.ended_at < clock_timestamp() - ${AFTER_END}, false) AS ended`,
    [limit],
    'claim-to-gather',
  );
}

/** By what reads of the leaked versions of an incident are looked up. */
export async function leakedVersionsOf<Spec>(
  ledger: Ledger,
  incidentId: string,
): Promise<readonly Pick<ToGather<Spec>, 'policy' | 'policyUid' | 'versionId' | 'currentAt' | 'spec'>[]> {
  return ledger.query(
    `SELECT t.policy, t.policy_uid AS "policyUid", v.id AS "versionId", v.current_at AS "currentAt",
            ${SPEC}
       FROM rotor.incident_targets t
       ${leakOf('t')}
      WHERE t.incident_id = $1`,
    [incidentId],
  );
}

/** @param againInMs undefined: all is seen; looked at once more after the end, and that is the last time */
export async function gathered(
  ledger: Ledger,
  { incidentId, policyUid, ended }: ToGather,
  againInMs: number | undefined,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incident_targets
        SET gathered_at = CASE WHEN $3 THEN clock_timestamp() END,
            gather_tries = CASE WHEN $4::float8 IS NULL THEN 0 ELSE gather_tries END,
            gather_at = CASE WHEN $4::float8 IS NULL THEN coalesce(ended_at, 'infinity') + ${AFTER_END}
                             ELSE clock_timestamp() + $4::float8 * interval '1 millisecond' END
      WHERE incident_id = $1 AND policy_uid = $2`,
    [incidentId, policyUid, ended, againInMs ?? null],
    'gathered',
  );
}

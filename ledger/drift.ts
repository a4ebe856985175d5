import type { AuditEvent } from './audit.ts';
import type { Ledger } from './database.ts';

/** One target that isn't what was delivered, and what became of it. In words and names, never a value. */
export interface DriftFinding {
  readonly target: string;
  readonly what: string;
  /** `unknown`: it could not be looked at. */
  readonly outcome: 'repaired' | 'reported' | 'failed' | 'unknown';
  /** Why it was not repaired. */
  readonly why?: string;
}

/** What is known of a policy's deliveries between rotations. */
export interface DriftView {
  readonly checkedAt: Date | undefined;
  readonly nextCheckAt: Date;
  /** What differs now. */
  readonly open: readonly DriftFinding[];
  /** The latest drift that was found, and when. */
  readonly last: readonly DriftFinding[];
  readonly lastAt: Date | undefined;
}

/** A policy whose deliveries are to be looked at, as far as the ledger knows it. */
export interface DriftSubject {
  readonly policyUid: string;
  /** `namespace/name`. */
  readonly policy: string;
  readonly policySpec: unknown;
  readonly paused: boolean;
  /** A rotation is open, one that needs a human included. */
  readonly rotating: boolean;
  /** Highest fencing token of its rotations: whatever a later one writes has a higher one. */
  readonly fence: bigint;
  /** What the latest rotation that was done worked by; undefined: none ever was. */
  readonly rotationSpec: unknown;
  /** What was found to differ the last time. */
  readonly open: readonly DriftFinding[];
}

/** The first look after a policy is known comes within that time, so that looks are spread. */
const SPREAD_MS = 300_000;

/**
 * Has the deliveries of these policies looked at from now on, as far as they were rotated and deliver anywhere.
 * @param renewing kinds of stores that are looked at themselves, since what they keep ages
 */
export async function watchDrift(
  ledger: Ledger,
  policyUids: readonly string[],
  renewing: readonly string[] = [],
): Promise<void> {
  if (policyUids.length === 0) return;
  await ledger.query(
    `INSERT INTO rotor.drift_checks (policy_uid, check_at)
     SELECT uid, clock_timestamp() + random() * $2 * interval '1 millisecond' FROM rotor.policies p
      WHERE uid = ANY ($1::uuid[]) AND last_rotated_at IS NOT NULL
        AND (spec -> 'deliver' <> '[]' OR EXISTS (SELECT FROM rotor.rotations r WHERE r.policy_uid = p.uid
               AND r.state = 'done' AND r.spec #>> '{store,kind}' = ANY ($3::text[])))
     ON CONFLICT DO NOTHING`,
    [policyUids, SPREAD_MS, renewing],
    'watch-drift',
  );
}

/**
 * Takes policies whose look is due, each for one worker, which has `holdMs` for it; the next look comes in about `everyMs`.
 * @returns their uids
 */
export async function claimDriftChecks(
  ledger: Ledger,
  limit: number,
  { everyMs, holdMs }: { readonly everyMs: number; readonly holdMs: number },
): Promise<readonly string[]> {
  const rows = await ledger.query<{ policy_uid: string }>(
    `WITH due AS (
       SELECT policy_uid FROM rotor.drift_checks
        WHERE check_at <= clock_timestamp() AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())
        ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     UPDATE rotor.drift_checks d
        SET check_at = clock_timestamp() + $2 * (0.9 + random() * 0.2) * interval '1 millisecond',
            claimed_until = clock_timestamp() + $3 * interval '1 millisecond'
       FROM due WHERE d.policy_uid = due.policy_uid RETURNING d.policy_uid`,
    [limit, everyMs, holdMs],
    'claim-drift-checks',
  );
  return rows.map(({ policy_uid }) => policy_uid);
}

/** @returns undefined when the policy is gone */
export async function driftSubject(ledger: Ledger, policyUid: string): Promise<DriftSubject | undefined> {
  const [row] = await ledger.query<{
    policy: string;
    spec: unknown;
    paused: boolean;
    rotating: boolean;
    fence: bigint | null;
    rotation_spec: unknown;
    open: readonly DriftFinding[];
  }>(
    `SELECT p.namespace || '/' || p.name AS policy, p.spec, p.paused, d.open,
            EXISTS (SELECT FROM rotor.rotations WHERE holds = p.uid) AS rotating,
            (SELECT max(epoch) FROM (SELECT epoch FROM rotor.rotations r WHERE r.policy_uid = p.uid
                                       ORDER BY created_at DESC LIMIT 5) AS latest) AS fence,
            (SELECT r.spec FROM rotor.rotations r WHERE r.policy_uid = p.uid AND state = 'done'
              ORDER BY created_at DESC LIMIT 1) AS rotation_spec
       FROM rotor.policies p JOIN rotor.drift_checks d ON d.policy_uid = p.uid WHERE p.uid = $1`,
    [policyUid],
    'drift-subject',
  );
  return (
    row && {
      policyUid,
      policy: row.policy,
      policySpec: row.spec,
      paused: row.paused,
      rotating: row.rotating,
      fence: row.fence ?? 0n,
      rotationSpec: row.rotation_spec ?? undefined,
      open: row.open,
    }
  );
}

/**
 * Ends a look: what differs now, what was found by it, and its audit rows, in one commit. Undefined: there was nothing to
 * look at, and what was known stays.
 */
export async function recordDrift(
  ledger: Ledger,
  policyUid: string,
  look:
    | {
        readonly open: readonly DriftFinding[];
        readonly found: readonly DriftFinding[];
        readonly audit: readonly AuditEvent[];
      }
    | undefined,
): Promise<void> {
  await ledger.query(
    `WITH ended AS (
       UPDATE rotor.drift_checks
          SET claimed_until = NULL,
              checked_at = CASE WHEN $2::jsonb IS NULL THEN checked_at ELSE clock_timestamp() END,
              open = coalesce($2::jsonb, open),
              last = CASE WHEN $3::jsonb <> '[]' THEN $3::jsonb ELSE last END,
              last_at = CASE WHEN $3::jsonb <> '[]' THEN clock_timestamp() ELSE last_at END
        WHERE policy_uid = $1)
     INSERT INTO rotor.audit (actor, action, subject, detail)
     SELECT a.actor, a.action, a.subject, a.detail
       FROM jsonb_to_recordset($4::jsonb) AS a (actor text, action text, subject text, detail jsonb)`,
    [
      policyUid,
      look ? JSON.stringify(look.open) : null,
      JSON.stringify(look?.found ?? []),
      JSON.stringify((look?.audit ?? []).map((event) => ({ detail: {}, ...event }))),
    ],
    'record-drift',
  );
}

/** Something happened to an object that carries this version: the policy's deliveries are looked at soon. */
export async function hurryDriftCheck(ledger: Ledger, versionId: string): Promise<void> {
  await ledger.query(
    `UPDATE rotor.drift_checks d SET check_at = clock_timestamp()
       FROM rotor.credential_versions v
      WHERE v.id = $1 AND d.policy_uid = v.policy_uid AND d.check_at > clock_timestamp()`,
    [versionId],
    'hurry-drift-check',
  );
}

/** By the uid of the policy; policies that are not looked at are missing. */
export async function driftOf(
  ledger: Ledger,
  policyUids: readonly string[],
): Promise<ReadonlyMap<string, DriftView>> {
  const rows = await ledger.query<{
    policy_uid: string;
    check_at: Date;
    checked_at: Date | null;
    open: readonly DriftFinding[];
    last: readonly DriftFinding[];
    last_at: Date | null;
  }>('SELECT * FROM rotor.drift_checks WHERE policy_uid = ANY ($1::uuid[])', [policyUids], 'drift-of');
  return new Map(
    rows.map((row) => [
      row.policy_uid,
      {
        checkedAt: row.checked_at ?? undefined,
        nextCheckAt: row.check_at,
        open: row.open,
        last: row.last,
        lastAt: row.last_at ?? undefined,
      },
    ]),
  );
}

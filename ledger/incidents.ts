import { RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';
import type { Answer, IncidentTarget, Mode } from './incident-targets.ts';

/** A report as it is kept: fingerprints in the place of secrets. */
export type KeptReport = Readonly<Record<string, unknown>>;

export interface IncidentReport {
  readonly source: string;
  readonly deliveryId: string;
  readonly at: Date;
  readonly report: KeptReport;
}

export interface Incident {
  readonly id: string;
  readonly severity: string;
  readonly openedBy: string;
  readonly openedAt: Date;
  readonly endedAt: Date | undefined;
  /** `unread`: the source never said what was found. */
  readonly state: 'open' | 'ended' | 'no-match' | 'unread';
  readonly targets: readonly IncidentTarget[];
  readonly reports: number;
}

/**
 * Remembers a delivery.
 * @returns false when it was taken before
 */
export async function rememberDelivery(ledger: Ledger, source: string, deliveryId: string): Promise<boolean> {
  const rows = await ledger.query(
    `INSERT INTO rotor.hook_deliveries (source, delivery_id) VALUES ($1, $2)
     ON CONFLICT DO NOTHING RETURNING delivery_id`,
    [source, deliveryId],
    'remember-delivery',
  );
  return rows.length === 1;
}

/** Forgets deliveries that are older than any window in which they would be believed. */
export async function forgetDeliveries(ledger: Ledger, olderThanMs: number): Promise<void> {
  await ledger.query(
    `DELETE FROM rotor.hook_deliveries WHERE at < clock_timestamp() - $1 * interval '1 millisecond'`,
    [olderThanMs],
  );
}

export interface NewIncident {
  readonly id: string;
  readonly severity: string;
  readonly openedBy: string;
}

export async function openIncident(ledger: Ledger, { id, severity, openedBy }: NewIncident): Promise<void> {
  await ledger.query(
    'INSERT INTO rotor.incidents (id, severity, opened_by) VALUES ($1, $2, $3)',
    [id, severity, openedBy],
    'open-incident',
  );
}

/** Takes back an incident that turned out to be about nothing new. */
export async function dropIncident(ledger: Ledger, id: string): Promise<void> {
  await ledger.query('DELETE FROM rotor.incidents WHERE id = $1', [id], 'drop-incident');
}

/** Adds reports to an incident, each as it is kept. */
export async function addReports(
  ledger: Ledger,
  incidentId: string,
  source: string,
  deliveryId: string,
  reports: readonly KeptReport[],
): Promise<void> {
  await ledger.query(
    `INSERT INTO rotor.incident_reports (incident_id, source, delivery_id, report)
     SELECT $1, $2, $3, report FROM jsonb_array_elements($4::jsonb) AS report`,
    [incidentId, source, deliveryId, JSON.stringify(reports)],
    'add-reports',
  );
}

/** Puts what is known of a delivery by now in the place of its report. */
export async function completeReport(
  ledger: Ledger,
  incidentId: string,
  deliveryId: string,
  report: KeptReport,
  severity: string,
): Promise<void> {
  await ledger.query(
    `WITH incident AS (UPDATE rotor.incidents SET severity = $4 WHERE id = $1)
     UPDATE rotor.incident_reports SET report = $3 WHERE incident_id = $1 AND delivery_id = $2`,
    [incidentId, deliveryId, JSON.stringify(report), severity],
  );
}

/** Ends an incident that has no open target. */
export async function endIncident(ledger: Ledger, incidentId: string): Promise<void> {
  await ledger.query(
    `UPDATE rotor.incidents i SET ended_at = clock_timestamp()
      WHERE id = $1 AND ended_at IS NULL
        AND NOT EXISTS (SELECT FROM rotor.incident_targets t WHERE t.incident_id = i.id AND t.ended_at IS NULL)`,
    [incidentId],
    'end-incident',
  );
}

interface IncidentRow {
  id: string;
  severity: string;
  opened_by: string;
  opened_at: Date;
  ended_at: Date | null;
  reports: number;
  unread: boolean;
  targets: TargetRow[] | null;
}

interface TargetRow {
  policy_uid: string;
  policy: string;
  version_id: string | null;
  matched_by: string[];
  answer: Answer;
  mode: Mode;
  contained_at: string | null;
  rotation_id: string | null;
  ended_at: string | null;
  result: IncidentTarget['result'] | null;
  reason: string | null;
}

const SELECT = `SELECT i.*, (SELECT count(*)::integer FROM rotor.incident_reports r WHERE r.incident_id = i.id) AS reports,
    EXISTS (SELECT FROM rotor.hook_inquiries q WHERE q.incident_id = i.id AND q.ended_at IS NOT NULL AND q.error IS NOT NULL) AS unread,
    (SELECT json_agg(t ORDER BY t.policy) FROM rotor.incident_targets t WHERE t.incident_id = i.id) AS targets
  FROM rotor.incidents i`;

/** Newest first. */
export async function listIncidents(ledger: Ledger, limit = 100): Promise<readonly Incident[]> {
  const rows = await ledger.query<IncidentRow & Record<string, unknown>>(
    `${SELECT} ORDER BY opened_at DESC LIMIT $1`,
    [limit],
  );
  return rows.map(fromRow);
}

/** @throws RotorError `ledger.not-found` */
export async function getIncident(ledger: Ledger, id: string): Promise<Incident> {
  const [row] = await ledger.query<IncidentRow & Record<string, unknown>>(`${SELECT} WHERE i.id = $1`, [id]);
  if (!row) throw new RotorError('ledger.not-found', { what: `there is no incident ${id}` });
  return fromRow(row);
}

/** Its reports, oldest first. */
export async function incidentReports(
  ledger: Ledger,
  id: string,
  limit = 1_000,
): Promise<readonly IncidentReport[]> {
  return ledger.query<IncidentReport & Record<string, unknown>>(
    `SELECT source, delivery_id AS "deliveryId", at, report FROM rotor.incident_reports
      WHERE incident_id = $1 ORDER BY id LIMIT $2`,
    [id, limit],
  );
}

/** Alerts, as the reports of an incident name them, that were matched to a policy; each as often as it was reported differently. */
export async function reportedAlerts<Alert>(
  ledger: Ledger,
  incidentId: string,
  policy: string,
): Promise<readonly Alert[]> {
  const rows = await ledger.query<{ alert: Alert }>(
    `SELECT alert FROM (SELECT report -> 'alert' AS alert, min(id) AS first FROM rotor.incident_reports
                         WHERE incident_id = $1 AND report -> 'alert' IS NOT NULL
                           AND report -> 'matched' @> jsonb_build_array(jsonb_build_object('policy', $2::text))
                         GROUP BY 1) AS named
      ORDER BY first`,
    [incidentId, policy],
    'reported-alerts',
  );
  return rows.map(({ alert }) => alert);
}

function fromRow(row: IncidentRow): Incident {
  const targets = (row.targets ?? []).map((target) => ({
    policyUid: target.policy_uid,
    policy: target.policy,
    versionId: target.version_id ?? undefined,
    matchedBy: target.matched_by,
    answer: target.answer,
    mode: target.mode,
    containedAt: target.contained_at === null ? undefined : new Date(target.contained_at),
    rotationId: target.rotation_id ?? undefined,
    endedAt: target.ended_at === null ? undefined : new Date(target.ended_at),
    result: target.result ?? undefined,
    reason: target.reason ?? undefined,
  }));
  return {
    id: row.id,
    severity: row.severity,
    openedBy: row.opened_by,
    openedAt: row.opened_at,
    endedAt: row.ended_at ?? undefined,
    state: !row.ended_at ? 'open' : row.unread ? 'unread' : targets.length === 0 ? 'no-match' : 'ended',
    targets,
    reports: row.reports,
  };
}

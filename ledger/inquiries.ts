import type { Ledger } from './database.ts';

/** What the source of a report is asked for after it was committed. */
export interface Inquiry<Wanted = unknown, Report = unknown> {
  readonly id: string;
  readonly incidentId: string;
  /** Name of the source in the hooks file. */
  readonly source: string;
  readonly deliveryId: string;
  readonly wanted: Wanted;
  /** As far as it is known; no secret. */
  readonly report: Report;
}

/** Plans an inquiry, in the transaction that commits the report. */
export async function planInquiry(ledger: Ledger, inquiry: Inquiry): Promise<void> {
  const { id, incidentId, source, deliveryId, wanted, report } = inquiry;
  await ledger.query(
    `INSERT INTO rotor.hook_inquiries (id, incident_id, source, delivery_id, wanted, report)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [id, incidentId, source, deliveryId, JSON.stringify(wanted), JSON.stringify(report)],
  );
}

/** Takes the next inquiry of a source that is due, for a minute and for one process only. */
export async function claimInquiry<Wanted, Report>(
  ledger: Ledger,
  source: string,
): Promise<(Inquiry<Wanted, Report> & { readonly tries: number }) | undefined> {
  const [row] = await ledger.query<Inquiry<Wanted, Report> & { tries: number } & Record<string, unknown>>(
    `UPDATE rotor.hook_inquiries SET tries = tries + 1, next_at = clock_timestamp() + interval '1 minute'
      WHERE id = (SELECT id FROM rotor.hook_inquiries
                   WHERE source = $1 AND ended_at IS NULL AND next_at <= clock_timestamp()
                   ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING id, incident_id AS "incidentId", source, delivery_id AS "deliveryId", wanted, report, tries`,
    [source],
    'claim-inquiry',
  );
  return row;
}

/** @returns false when it was answered, or given up, before */
export async function answerInquiry(ledger: Ledger, id: string): Promise<boolean> {
  const rows = await ledger.query(
    `UPDATE rotor.hook_inquiries SET ended_at = clock_timestamp(), error = NULL
      WHERE id = $1 AND ended_at IS NULL RETURNING id`,
    [id],
  );
  return rows.length === 1;
}

/** @param againInMs undefined: it is given up */
export async function inquiryFailed(
  ledger: Ledger,
  id: string,
  error: string,
  againInMs: number | undefined,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.hook_inquiries
        SET error = $2, next_at = clock_timestamp() + coalesce($3::float8, 0) * interval '1 millisecond',
            ended_at = CASE WHEN $3::float8 IS NULL THEN clock_timestamp() END
      WHERE id = $1 AND ended_at IS NULL`,
    [id, error, againInMs ?? null],
  );
}

/** The source wants to be left alone for so long, all its inquiries included; being told so is no try. */
export async function deferInquiries(
  ledger: Ledger,
  { id, source }: Pick<Inquiry, 'id' | 'source'>,
  error: string,
  forMs: number,
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.hook_inquiries
        SET next_at = greatest(CASE WHEN id = $1 THEN at ELSE next_at END, clock_timestamp() + $4 * interval '1 millisecond'),
            tries = CASE WHEN id = $1 THEN greatest(0, tries - 1) ELSE tries END,
            error = CASE WHEN id = $1 THEN $3 ELSE error END
      WHERE source = $2 AND ended_at IS NULL`,
    [id, source, error, forMs],
  );
}

/** What became of the inquiries of an incident. */
export async function inquiriesOf(
  ledger: Ledger,
  incidentId: string,
): Promise<
  readonly {
    readonly source: string;
    readonly wanted: unknown;
    readonly tries: number;
    readonly endedAt: Date | null;
    readonly nextAt: Date;
    readonly error: string | null;
  }[]
> {
  return ledger.query(
    `SELECT source, wanted, tries, ended_at AS "endedAt", next_at AS "nextAt", error FROM rotor.hook_inquiries
      WHERE incident_id = $1 ORDER BY at`,
    [incidentId],
  );
}

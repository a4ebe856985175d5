import type { ErrorRecord } from '../core/errors.ts';
import { RotorError } from '../core/errors.ts';
import type { AuditEvent } from './audit.ts';
import type { Ledger } from './database.ts';
import type { Direction, RotationState } from './rotations.ts';
import type { VersionChange } from './versions.ts';

/** `intent`: about to happen. `done`, `failed`: happened, or surely didn't. An intent alone is in doubt. */
export type JournalEvent = 'intent' | 'done' | 'failed';

export interface JournalEntry {
  readonly direction: Direction;
  readonly step: string;
  readonly event: JournalEvent;
  /** What was seen, for people and for the next steps. Never a secret. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface JournalRow extends JournalEntry {
  readonly seq: number;
  readonly at: Date;
  readonly epoch: bigint;
}

export interface Transition {
  readonly rotationId: string;
  readonly epoch: bigint;
  /** Number of the last journal row that the caller knows. */
  readonly seq: number;
  readonly entries: readonly JournalEntry[];
  readonly state?: RotationState;
  readonly direction?: Direction;
  readonly step?: string;
  readonly oldVersion?: string | null;
  readonly newVersion?: string | null;
  readonly error?: ErrorRecord | null;
  /** Keeps the lease for that long; without it the rotation is let go. */
  readonly leaseMs?: number;
  /** Not to be claimed before that many milliseconds. */
  readonly wakeInMs?: number;
  readonly waitReason?: string;
  readonly versions?: readonly VersionChange[];
  readonly audit?: readonly AuditEvent[];
}

/** What the holder must know before it goes on: somebody cancelled, the rotation's deadline has passed. */
export interface Flags {
  readonly cancel: boolean;
  readonly overdue: boolean;
  /** When the entries were committed, by the database's clock. */
  readonly recordedAt: Date;
}

/**
 * One journal transition in one commit, on top of row `seq` and by the holder of `epoch` only. May be repeated
 * after a lost answer.
 * @throws RotorError `ledger.fenced` when another worker holds the rotation
 */
export async function recordTransition(ledger: Ledger, transition: Transition): Promise<Flags> {
  const { rotationId, epoch, seq, entries, versions, audit, ...patch } = transition;
  const rows = await ledger.query<{ outcome: string; cancel: boolean; overdue: boolean; recorded_at: Date }>(
    'SELECT * FROM rotor.record($1, $2, $3, $4, $5, $6, $7)',
    [
      rotationId,
      epoch,
      seq,
      JSON.stringify(entries),
      JSON.stringify(patch),
      versions && versions.length > 0 ? JSON.stringify(versions) : null,
      audit && audit.length > 0 ? JSON.stringify(audit) : null,
    ],
    'record',
  );
  const row = rows[0];
  if (!row || row.outcome === 'fenced') {
    throw new RotorError('ledger.fenced', { what: `rotation ${rotationId}: another worker holds it now` });
  }
  return { cancel: row.cancel, overdue: row.overdue, recordedAt: row.recorded_at };
}

/** The whole journal of a rotation, oldest first. */
export async function readJournal(ledger: Ledger, rotationId: string): Promise<readonly JournalRow[]> {
  return ledger.query<JournalRow & Record<string, unknown>>(
    `SELECT seq, at, epoch, direction, step, event, facts FROM rotor.journal WHERE rotation_id = $1 ORDER BY seq`,
    [rotationId],
    'read-journal',
  );
}

/**
 * Forgets the journals of rotations that ended longer than `olderThanMs` ago; their rotation rows and the audit
 * trail stay. Works in batches so that it never holds a long lock.
 * @returns number of journal rows removed
 */
export async function pruneJournal(ledger: Ledger, olderThanMs: number): Promise<number> {
  let removed = 0;
  for (;;) {
    const [row] = await ledger.query<{ count: number }>(
      `WITH old AS (
         SELECT id FROM rotor.rotations r
          WHERE ended_at < clock_timestamp() - $1 * interval '1 millisecond' AND state IN ('done', 'rolled-back')
            AND EXISTS (SELECT FROM rotor.journal j WHERE j.rotation_id = r.id)
          ORDER BY ended_at LIMIT 500),
       gone AS (DELETE FROM rotor.journal WHERE rotation_id IN (SELECT id FROM old) RETURNING 1)
       SELECT count(*)::integer FROM gone`,
      [olderThanMs],
    );
    if (!row || row.count === 0) return removed;
    removed += row.count;
  }
}

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
  /** At most one outcome (`done`, `failed`), then at most one intent: they share a row. */
  readonly entries: readonly JournalEntry[];
  readonly state?: RotationState;
  readonly direction?: Direction;
  readonly oldVersion?: string | null;
  readonly newVersion?: string | null;
  readonly error?: ErrorRecord | null;
  /** Keeps the lease for that long; without it the rotation is let go. */
  readonly leaseMs?: number;
  /** Not to be claimed before that many milliseconds. */
  readonly wakeInMs?: number;
  readonly waitReason?: string;
  /** The holder knows that it was cancelled, and waits all the same. */
  readonly cancelSeen?: true;
  readonly versions?: readonly VersionChange[];
  readonly audit?: readonly AuditEvent[];
}

/** What the holder must know before it goes on: somebody cancelled, the rotation's deadline has passed. */
export interface Flags {
  readonly cancel: boolean;
  readonly overdue: boolean;
  /** When the entries were committed, by the database's clock. */
  readonly recordedAt: Date;
  /** Whether the lease was prolonged along the way. */
  readonly renewed: boolean;
}

/**
 * One journal transition in one commit, on top of row `seq` and by the holder of `epoch` only. May be repeated
 * after a lost answer.
 * @throws RotorError `ledger.fenced` when another worker holds the rotation
 */
export async function recordTransition(ledger: Ledger, transition: Transition): Promise<Flags> {
  const { rotationId, epoch, seq, entries, versions = [], audit = [], ...patch } = transition;
  const outcome = entries.find((entry) => entry.event !== 'intent');
  const intent = entries.find((entry) => entry.event === 'intent');
  const plain =
    outcome?.event === 'done' &&
    intent &&
    Object.keys(patch).every((key) => key === 'leaseMs' || key === 'step');
  if (plain && versions.length === 0 && audit.length === 0) {
    const flags = await advance(ledger, transition, outcome, intent);
    if (flags) return flags;
  }
  const row = {
    ...outcome,
    ...(intent && { nextDirection: intent.direction, nextStep: intent.step, nextFacts: intent.facts }),
  };
  const [recorded] = await ledger.query<{
    outcome: string;
    cancel: boolean;
    overdue: boolean;
    recorded_at: Date;
  }>(
    'SELECT * FROM rotor.record($1, $2, $3, $4, $5, $6, $7)',
    [
      rotationId,
      epoch,
      seq,
      entries.length > 0 ? JSON.stringify(row) : null,
      JSON.stringify(patch),
      versions.length > 0 ? JSON.stringify(versions) : null,
      audit.length > 0 ? JSON.stringify(audit) : null,
    ],
    'record',
  );
  if (!recorded || recorded.outcome === 'fenced') {
    throw new RotorError('ledger.fenced', { what: `rotation ${rotationId}: another worker holds it now` });
  }
  return {
    cancel: recorded.cancel,
    overdue: recorded.overdue,
    recordedAt: recorded.recorded_at,
    renewed: recorded.outcome === 'recorded' && transition.leaseMs !== undefined,
  };
}

/**
 * The transition that most steps make, one outcome and the next intent: a single insert that leaves the rotation's row
 * alone, a third of the cost. It checks the epoch without a lock; should another worker claim the rotation in that very
 * moment, the two can't both build on the same journal row, and whoever comes second lets go.
 * @returns undefined when nothing was written (fenced, or repeated): rotor.record tells which
 */
async function advance(
  ledger: Ledger,
  { rotationId, epoch, seq }: Transition,
  outcome: JournalEntry,
  intent: JournalEntry,
): Promise<Flags | undefined> {
  const [row] = await ledger.query<{ cancel: boolean; overdue: boolean; recorded_at: Date }>(
    `WITH held AS (
       SELECT cancel_requested AS cancel, deadline_at < clock_timestamp() AS overdue
         FROM rotor.rotations WHERE id = $1 AND epoch = $2 AND state = 'running'),
     written AS (
       INSERT INTO rotor.journal (rotation_id, seq, epoch, direction, step, event, facts, next_direction, next_step, next_facts)
       SELECT $1, $3, $2, $4, $5, 'done', $6, $7, $8, $9 FROM held
       ON CONFLICT DO NOTHING RETURNING at)
     SELECT cancel, overdue, at AS recorded_at FROM held, written`,
    [
      rotationId,
      epoch,
      seq + 1,
      outcome.direction,
      outcome.step,
      JSON.stringify(outcome.facts),
      intent.direction,
      intent.step,
      JSON.stringify(intent.facts),
    ],
    'advance',
  );
  return row && { cancel: row.cancel, overdue: row.overdue, recordedAt: row.recorded_at, renewed: false };
}

interface StoredRow {
  readonly seq: number;
  readonly at: Date;
  readonly epoch: bigint;
  readonly direction: Direction | null;
  readonly step: string | null;
  readonly event: 'done' | 'failed' | null;
  readonly facts: Record<string, unknown> | null;
  readonly next_direction: Direction | null;
  readonly next_step: string | null;
  readonly next_facts: Record<string, unknown> | null;
}

/** The whole journal of a rotation, oldest first; a row with an outcome and an intent gives two entries of one number. */
export async function readJournal(ledger: Ledger, rotationId: string): Promise<readonly JournalRow[]> {
  const rows = await ledger.query<StoredRow & Record<string, unknown>>(
    'SELECT * FROM rotor.journal WHERE rotation_id = $1 ORDER BY seq',
    [rotationId],
    'read-journal',
  );
  return rows.flatMap(({ seq, at, epoch, ...row }) => {
    const entries: JournalRow[] = [];
    if (row.direction && row.step && row.event) {
      entries.push({
        seq,
        at,
        epoch,
        direction: row.direction,
        step: row.step,
        event: row.event,
        facts: row.facts ?? {},
      });
    }
    if (row.next_direction && row.next_step) {
      entries.push({
        seq,
        at,
        epoch,
        direction: row.next_direction,
        step: row.next_step,
        event: 'intent',
        facts: row.next_facts ?? {},
      });
    }
    return entries;
  });
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
          WHERE created_at < clock_timestamp() - $1 * interval '1 millisecond'
            AND ended_at < clock_timestamp() - $1 * interval '1 millisecond' AND state IN ('done', 'rolled-back')
            AND EXISTS (SELECT FROM rotor.journal j WHERE j.rotation_id = r.id)
          ORDER BY created_at LIMIT 500),
       gone AS (DELETE FROM rotor.journal WHERE rotation_id IN (SELECT id FROM old) RETURNING 1)
       SELECT count(*)::integer FROM gone`,
      [olderThanMs],
    );
    if (!row || row.count === 0) return removed;
    removed += row.count;
  }
}

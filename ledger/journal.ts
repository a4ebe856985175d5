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
  /** In order; an outcome (`done`, `failed`) and the intent after it share a row. */
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
  /** The holder knows that an incident hurries it, and waits all the same. */
  readonly hurrySeen?: true;
  readonly versions?: readonly VersionChange[];
  readonly audit?: readonly AuditEvent[];
}

/** What the holder must know before it goes on: somebody cancelled, the rotation's deadline has passed. */
export interface Flags {
  readonly cancel: boolean;
  readonly overdue: boolean;
  /** When the entries were committed, by the database's clock. */
  readonly recordedAt: Date;
  /** Number of the last journal row now. */
  readonly seq: number;
  /** Whether the lease was prolonged along the way. */
  readonly renewed: boolean;
}

/**
 * One journal transition in one commit, on top of row `seq` and by the holder of `epoch` only: a journal row (none
 * without entries), the rotation's new state, versions and audit rows, all or nothing. May be repeated after a lost
 * answer, which changes nothing the second time.
 * @throws RotorError `ledger.fenced` when another worker holds the rotation
 */
export async function recordTransition(ledger: Ledger, transition: Transition): Promise<Flags> {
  const { rotationId, epoch, seq, entries, versions = [], audit = [], ...patch } = transition;
  const rows = rowsOf(entries);
  const plain =
    rows.length > 0 &&
    rows.every(({ outcome, intent }) => outcome?.event === 'done' && intent) &&
    Object.keys(patch).every((key) => key === 'leaseMs') &&
    versions.length + audit.length === 0;
  const written = plain ? await unlessConflict(advance(ledger, transition, rows)) : undefined;
  const flags =
    written ??
    (await unlessConflict(change(ledger, transition, rows))) ??
    (await flagsOfRepeat(ledger, rotationId, epoch, seq));
  return { ...flags, seq: seq + rows.length };
}

interface NewRow {
  readonly outcome?: JournalEntry;
  readonly intent?: JournalEntry;
}

function rowsOf(entries: readonly JournalEntry[]): readonly NewRow[] {
  const rows: NewRow[] = [];
  for (const entry of entries) {
    const last = rows.at(-1);
    if (entry.event !== 'intent') rows.push({ outcome: entry });
    else if (last?.outcome && !last.intent) rows[rows.length - 1] = { outcome: last.outcome, intent: entry };
    else rows.push({ intent: entry });
  }
  return rows;
}

type Written = Omit<Flags, 'seq'>;

/** The journal has a row of that number already: a repeat, or another worker's. Nothing was written. */
async function unlessConflict(written: Promise<Written | undefined>): Promise<Written | undefined> {
  try {
    return await written;
  } catch (error) {
    if (error instanceof RotorError && error.code === 'ledger.conflict') return undefined;
    throw error;
  }
}

/** A statement that is put together from the parts that a transition has; each shape is prepared once a connection. */
class Statement {
  readonly values: unknown[] = [];
  readonly ctes: string[] = [];

  value(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  json(value: unknown): string {
    return `${this.value(JSON.stringify(value))}::jsonb`;
  }
}

const JOURNAL = `INSERT INTO rotor.journal
            (rotation_id, seq, at, epoch, direction, step, event, facts, next_direction, next_step, next_facts)`;

/** `rows` as VALUES whose first parameter is number `first`, in the order of {@link cellsOf}. */
function valuesOf(rows: number, first: number): string {
  const types = ['integer', 'text', 'text', 'text', 'jsonb', 'text', 'text', 'jsonb'];
  const row = (index: number) =>
    types.map((type, column) => `$${first + index * types.length + column}::${type}`).join(', ');
  const values = Array.from({ length: rows }, (_, index) => `(${row(index)})`).join(', ');
  return `(VALUES ${values}) AS v (seq, direction, step, event, facts, next_direction, next_step, next_facts)`;
}

function cellsOf(rows: readonly NewRow[], seq: number): unknown[] {
  return rows.flatMap(({ outcome, intent }, index) => [
    seq + 1 + index,
    outcome?.direction,
    outcome?.step,
    outcome?.event,
    JSON.stringify(outcome?.facts),
    intent?.direction,
    intent?.step,
    JSON.stringify(intent?.facts),
  ]);
}

/** @returns undefined when nothing was written: fenced, or repeated */
async function change(
  ledger: Ledger,
  transition: Transition,
  rows: readonly NewRow[],
): Promise<Written | undefined> {
  const { rotationId, epoch, seq, versions = [], audit = [], state } = transition;
  const statement = new Statement();
  const [id, fence] = [`${statement.value(rotationId)}::uuid`, `${statement.value(epoch)}::bigint`];
  const last = rows.at(-1);
  statement.ctes.push(`held AS (
     UPDATE rotor.rotations SET ${patched(statement, transition, last?.intent ?? last?.outcome).join(', ')}
      WHERE id = ${id} AND epoch = ${fence} AND state = 'running'
     RETURNING policy_uid, cancel_requested AS cancel, deadline_at < clock_timestamp() AS overdue, clock_timestamp() AS at)`);
  if (rows.length > 0) {
    statement.ctes.push(`noted AS (
     ${JOURNAL}
     SELECT ${id}, v.seq, at, ${fence}, v.direction, v.step, v.event, v.facts, v.next_direction, v.next_step, v.next_facts
       FROM held, ${valuesOf(rows.length, statement.values.length + 1)})`);
    statement.values.push(...cellsOf(rows, seq));
  }
  if (state === 'done' || state === 'rolled-back')
    statement.ctes.push(
      'replanned AS (INSERT INTO rotor.replans SELECT policy_uid FROM held ON CONFLICT DO NOTHING)',
    );
  if (state === 'done') {
    statement.ctes.push(
      'rotated AS (UPDATE rotor.policies SET last_rotated_at = clock_timestamp() WHERE uid = (SELECT policy_uid FROM held))',
    );
  }
  if (versions.length > 0) statement.ctes.push(`versions AS (${writeVersions(statement, id, versions)})`);
  if (audit.length > 0) {
    const values = audit.map(
      ({ actor, action, subject, detail }) =>
        `(${[actor, action, subject].map((text) => `${statement.value(text)}::text`).join(', ')}, ${statement.json(detail ?? {})})`,
    );
    statement.ctes.push(`audited AS (
     INSERT INTO rotor.audit (actor, action, subject, detail)
     SELECT a.actor, a.action, a.subject, a.detail
       FROM held, (VALUES ${values.join(', ')}) AS a (actor, action, subject, detail))`);
  }
  // The last record of a rotation that is proven isn't waited for on disk. Should the server crash and forget it, the
  // rotation is proven once more and ends the same; and whatever anybody writes durably after it makes it durable too.
  const unhurried = state === 'done' ? ", set_config('synchronous_commit', 'off', true)" : '';
  const text = `WITH ${statement.ctes.join(',\n   ')}\n SELECT cancel, overdue, at${unhurried} FROM held`;
  const [row] = await ledger.query<{ cancel: boolean; overdue: boolean; at: Date }>(
    text,
    statement.values,
    shapeOf(text),
  );
  return (
    row && {
      cancel: row.cancel,
      overdue: row.overdue,
      recordedAt: row.at,
      renewed: transition.leaseMs !== undefined,
    }
  );
}

/** What changes in the rotation's own row, and nothing else: what stays as it is costs no index. */
function patched(
  statement: Statement,
  {
    state,
    direction,
    oldVersion,
    newVersion,
    error,
    leaseMs,
    wakeInMs,
    waitReason,
    cancelSeen,
    hurrySeen,
  }: Transition,
  last: JournalEntry | undefined,
): string[] {
  const after = (ms: number) =>
    `clock_timestamp() + ${statement.value(ms)}::bigint * interval '1 millisecond'`;
  // What its holder hasn't seen yet, a cancellation or an incident, must not wait for the wake-up time.
  const news = [...(cancelSeen ? [] : ['cancel_requested']), ...(hurrySeen ? [] : ['hurried'])];
  const wake = (ms: number) =>
    news.length === 0 ? after(ms) : `CASE WHEN NOT (${news.join(' OR ')}) THEN ${after(ms)} END`;
  const sets = [
    `lease_until = ${leaseMs === undefined ? 'NULL' : after(leaseMs)}`,
    `wait_reason = ${waitReason === undefined ? 'NULL' : statement.value(waitReason)}`,
    `wake_at = ${wakeInMs === undefined ? 'NULL' : wake(wakeInMs)}`,
  ];
  if (state !== undefined) sets.push(`state = ${statement.value(state)}`);
  if (state === 'done' || state === 'rolled-back') sets.push('holds = NULL');
  if (state !== undefined && state !== 'running' && state !== 'waiting' && state !== 'queued')
    sets.push('ended_at = clock_timestamp()');
  if (last) sets.push(`step = ${statement.value(last.step)}`);
  if (direction !== undefined) sets.push(`direction = ${statement.value(direction)}`);
  if (oldVersion !== undefined) sets.push(`old_version = ${statement.value(oldVersion)}`);
  if (newVersion !== undefined) sets.push(`new_version = ${statement.value(newVersion)}`);
  if (error !== undefined) sets.push(`error = ${error === null ? 'NULL' : statement.json(error)}`);
  return sets;
}

function writeVersions(statement: Statement, rotation: string, versions: readonly VersionChange[]): string {
  return `INSERT INTO rotor.credential_versions AS v
            (id, policy_uid, rotation_id, state, identity, fingerprint, current_at, revoked_at)
     SELECT (c.value ->> 'id')::uuid, policy_uid, ${rotation}, c.value ->> 'state', coalesce(c.value ->> 'identity', ''),
            decode(c.value ->> 'fingerprint', 'hex'),
            CASE WHEN c.value ->> 'state' = 'current' THEN clock_timestamp() END,
            CASE WHEN c.value ->> 'state' = 'revoked' THEN clock_timestamp() END
       FROM held, jsonb_array_elements(${statement.json(versions)}) AS c (value)
     ON CONFLICT (id) DO UPDATE
        SET state       = excluded.state,
            identity    = CASE WHEN excluded.identity = '' THEN v.identity ELSE excluded.identity END,
            fingerprint = coalesce(excluded.fingerprint, v.fingerprint),
            current_at  = coalesce(v.current_at, excluded.current_at),
            revoked_at  = coalesce(v.revoked_at, excluded.revoked_at)`;
}

const shapes = new Map<string, string>();

/** A short name for a prepared statement; there are as many as kinds of transitions, about a dozen. */
function shapeOf(text: string): string {
  const known = shapes.get(text);
  if (known !== undefined) return known;
  const name = `change-${shapes.size + 1}`;
  shapes.set(text, name);
  return name;
}

/**
 * Tells a repeat after a lost answer from the write of a worker that lost its hold.
 * @throws RotorError `ledger.fenced`
 */
async function flagsOfRepeat(
  ledger: Ledger,
  rotationId: string,
  epoch: bigint,
  seq: number,
): Promise<Written> {
  const [row] = await ledger.query<{ cancel: boolean; overdue: boolean; at: Date }>(
    `SELECT r.cancel_requested AS cancel, r.deadline_at < clock_timestamp() AS overdue, j.at
       FROM rotor.journal j JOIN rotor.rotations r ON r.id = j.rotation_id
      WHERE j.rotation_id = $1 AND j.seq = $2 AND j.epoch = $3`,
    [rotationId, seq + 1, epoch],
    'flags-of-repeat',
  );
  if (!row)
    throw new RotorError('ledger.fenced', { what: `rotation ${rotationId}: another worker holds it now` });
  return { cancel: row.cancel, overdue: row.overdue, recordedAt: row.at, renewed: false };
}

const advancing = new Map<number, string>();

function advanceBy(rows: number): string {
  const text =
    advancing.get(rows) ??
    `${JOURNAL}
     SELECT id, v.seq, clock_timestamp(), epoch, v.direction, v.step, v.event, v.facts, v.next_direction, v.next_step, v.next_facts
       FROM rotor.rotations, ${valuesOf(rows, 3)}
      WHERE id = $1 AND epoch = $2 AND state = 'running' AND NOT cancel_requested AND deadline_at > clock_timestamp()
     RETURNING at`;
  advancing.set(rows, text);
  return text;
}

/**
 * The transition that most steps make, outcomes and next intents: a single insert that leaves the rotation's row
 * alone, a third of the cost. It checks the epoch without a lock; should another worker claim the rotation in that very
 * moment, the two can't both build on the same journal row, and whoever comes second lets go.
 * @returns undefined when nothing was written: fenced, repeated, cancelled or overdue
 */
async function advance(
  ledger: Ledger,
  { rotationId, epoch, seq }: Transition,
  rows: readonly NewRow[],
): Promise<Written | undefined> {
  const values = [rotationId, epoch, ...cellsOf(rows, seq)];
  const [row] = await ledger.query<{ at: Date }>(advanceBy(rows.length), values, `advance-${rows.length}`);
  return row && { cancel: false, overdue: false, recordedAt: row.at, renewed: false };
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

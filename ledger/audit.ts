import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Ledger } from './database.ts';

/** Something that changed, who did it and to what. Details never hold a secret. */
export interface AuditEvent {
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface SealedEvent extends Required<AuditEvent> {
  readonly seq: bigint;
  readonly at: Date;
  readonly previousHash: Buffer;
  readonly hash: Buffer;
}

/** A point of the chain, kept outside the database: a cut tail shows when the chain doesn't reach it any more. */
export interface Anchor {
  readonly seq: string;
  readonly hash: string;
  readonly at: string;
}

export type Verdict =
  | { readonly verified: true; readonly rows: number; readonly head: Anchor | undefined }
  | { readonly verified: false; readonly rows: number; readonly broken: string };

interface AuditRow {
  id: bigint;
  at: Date;
  actor: string;
  action: string;
  subject: string;
  detail: Record<string, unknown>;
  seq: bigint;
  previous_hash: Buffer;
  hash: Buffer;
}

const GENESIS = Buffer.alloc(32);
/** Key of the advisory lock under which one sealer at a time extends the chain. */
const SEALER_LOCK = 7_310_425_981n;
const BATCH = 1_000;

export async function appendAudit(ledger: Ledger, event: AuditEvent): Promise<void> {
  await ledger.query(
    'INSERT INTO rotor.audit (actor, action, subject, detail) VALUES ($1, $2, $3, $4)',
    [event.actor, event.action, event.subject, JSON.stringify(event.detail ?? {})],
    'append-audit',
  );
}

/**
 * Chains the rows that aren't yet, in the order of their ids, one sealer at a time.
 * @returns the head of the chain when something was sealed
 */
export async function sealAudit(ledger: Ledger): Promise<Anchor | undefined> {
  let head: Anchor | undefined;
  for (;;) {
    const sealed = await ledger.transaction(sealBatch);
    if (sealed.head) head = sealed.head;
    if (sealed.count < BATCH) return head;
  }
}

async function sealBatch(ledger: Ledger): Promise<{ count: number; head: Anchor | undefined }> {
  const [lock] = await ledger.query<{ held: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS held', [
    SEALER_LOCK,
  ]);
  if (!lock?.held) return { count: 0, head: undefined };
  const rows = await ledger.query<AuditRow & Record<string, unknown>>(
    'SELECT id, at, actor, action, subject, detail FROM rotor.audit WHERE seq IS NULL ORDER BY id LIMIT $1',
    [BATCH],
  );
  if (rows.length === 0) return { count: 0, head: undefined };
  const [last] = await ledger.query<{ seq: bigint; hash: Buffer }>(
    'SELECT seq, hash FROM rotor.audit WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1',
  );
  let { seq, hash } = last ?? { seq: 0n, hash: GENESIS };
  const links = rows.map((row) => {
    const previous = hash;
    seq += 1n;
    hash = hashOf({ ...row, seq }, previous);
    return {
      id: String(row.id),
      seq: String(seq),
      previous: previous.toString('hex'),
      hash: hash.toString('hex'),
    };
  });
  await ledger.query(
    `UPDATE rotor.audit a SET seq = l.seq, previous_hash = decode(l.previous, 'hex'), hash = decode(l.hash, 'hex')
       FROM jsonb_to_recordset($1) AS l (id bigint, seq bigint, previous text, hash text) WHERE a.id = l.id`,
    [JSON.stringify(links)],
  );
  return {
    count: rows.length,
    head: { seq: String(seq), hash: hash.toString('hex'), at: new Date().toISOString() },
  };
}

/**
 * Walks the chain and names the first row that was changed, removed or put elsewhere.
 * @param anchors points kept outside that the chain must still pass through
 */
export async function verifyAudit(ledger: Ledger, anchors: readonly Anchor[] = []): Promise<Verdict> {
  const expected = new Map(anchors.map((anchor) => [anchor.seq, anchor.hash]));
  let rows = 0;
  let previous: { seq: bigint; hash: Buffer; at: Date } | undefined;
  for await (const row of sealedEvents(ledger)) {
    const name = `audit row ${row.seq} (${row.action} ${row.subject}, ${row.at.toISOString()})`;
    const before = previous?.hash ?? GENESIS;
    const due = (previous?.seq ?? 0n) + 1n;
    if (row.seq !== due) {
      const gap = row.seq === due + 1n ? `audit row ${due} is` : `audit rows ${due} to ${row.seq - 1n} are`;
      return { verified: false, rows, broken: `${gap} missing before ${name}` };
    }
    if (!row.previousHash.equals(before)) {
      return {
        verified: false,
        rows,
        broken: `${name} does not follow the row before it: one of the two was replaced`,
      };
    }
    if (!hashOf(row, before).equals(row.hash))
      return { verified: false, rows, broken: `${name} was changed` };
    const anchored = expected.get(String(row.seq));
    if (anchored !== undefined && anchored !== row.hash.toString('hex')) {
      return {
        verified: false,
        rows,
        broken: `${name} differs from the anchor that was kept outside: the chain was rewritten`,
      };
    }
    expected.delete(String(row.seq));
    previous = row;
    rows += 1;
  }
  const cut = [...expected.keys()].sort((a, b) => Number(BigInt(a) - BigInt(b)))[0];
  if (cut !== undefined) {
    return {
      verified: false,
      rows,
      broken: `the trail ends at row ${previous?.seq ?? 0}, but an anchor names row ${cut}: the end was cut off`,
    };
  }
  const head = previous && {
    seq: String(previous.seq),
    hash: previous.hash.toString('hex'),
    at: previous.at.toISOString(),
  };
  return { verified: true, rows, head };
}

/** The sealed trail, oldest first, read in batches. */
export async function* sealedEvents(ledger: Ledger): AsyncGenerator<SealedEvent> {
  let after = 0n;
  for (;;) {
    const rows = await ledger.query<AuditRow & Record<string, unknown>>(
      `SELECT at, actor, action, subject, detail, seq, previous_hash, hash FROM rotor.audit
        WHERE seq > $1 ORDER BY seq LIMIT $2`,
      [after, BATCH],
    );
    for (const row of rows) {
      yield { ...row, previousHash: row.previous_hash, detail: row.detail };
      after = row.seq;
    }
    if (rows.length < BATCH) return;
  }
}

/** The sealed rows about any of these subjects, oldest first. */
export async function sealedEventsAbout(
  ledger: Ledger,
  subjects: readonly string[],
  limit = 10_000,
): Promise<readonly SealedEvent[]> {
  const rows = await ledger.query<AuditRow & Record<string, unknown>>(
    `SELECT at, actor, action, subject, detail, seq, previous_hash, hash FROM rotor.audit
      WHERE seq IS NOT NULL AND subject = ANY ($1) ORDER BY seq LIMIT $2`,
    [subjects, limit],
  );
  return rows.map((row) => ({ ...row, previousHash: row.previous_hash }));
}

/** SHA-256 over the hash before and the row's canonical JSON (RFC 8785). Times count in milliseconds. */
function hashOf(
  row: Pick<SealedEvent, 'seq' | 'at' | 'actor' | 'action' | 'subject' | 'detail'>,
  previous: Buffer,
): Buffer {
  const { actor, action, subject, detail } = row;
  const canonical = canonicalize({
    seq: String(row.seq),
    at: row.at.toISOString(),
    actor,
    action,
    subject,
    detail,
  });
  return createHash('sha256')
    .update(previous)
    .update(canonical ?? '')
    .digest();
}

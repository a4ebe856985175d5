import type { Ledger } from './database.ts';

/** One version of a path in a store without stages. */
export interface SealedVersion {
  readonly versionId: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly stages: readonly ('pending' | 'current' | 'previous')[];
  /** The document, sealed with the key-encryption key. */
  readonly sealed: string;
}

/** Which version consumers are to read. */
export interface LiveVersion {
  readonly versionId: string;
  /** Keyed hash of what stood at the path when that was decided; '' when nothing did. */
  readonly over: string;
  /** Seen there since. */
  readonly published: boolean;
}

/** What the ledger knows of one path. */
export interface StagelessPath {
  /** 0 when nothing was written yet. */
  readonly generation: bigint;
  readonly fence: bigint;
  /** Oldest first. */
  readonly versions: readonly SealedVersion[];
  readonly live: LiveVersion | undefined;
}

interface PathRow extends Record<string, unknown> {
  readonly generation: bigint;
  readonly fence: bigint;
  readonly live: LiveVersion | null;
  readonly versions: readonly SealedVersion[];
}

/** Path and versions as they were at one moment. */
export async function stagelessPath(ledger: Ledger, home: string, path: string): Promise<StagelessPath> {
  const [row] = await ledger.query<PathRow>(
    `SELECT generation, fence, live,
            (SELECT coalesce(jsonb_agg(jsonb_build_object('versionId', version_id, 'stages', stages, 'sealed', sealed,
                      'createdAt', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
                      ORDER BY position), '[]')
               FROM rotor.stageless_versions v WHERE v.home = p.home AND v.path = p.path) AS versions
       FROM rotor.stageless_paths p WHERE home = $1 AND path = $2`,
    [home, path],
    'stageless-path',
  );
  if (!row) return { generation: 0n, fence: 0n, versions: [], live: undefined };
  const { generation, fence, live, versions } = row;
  return { generation, fence, versions, live: live ?? undefined };
}

/**
 * Replaces what is known of a path, if nobody has since `seen`; versions that are left out are deleted with their documents.
 * @returns false, and nothing is changed, when somebody was faster or has a higher fencing token
 */
export async function replaceStagelessPath(
  ledger: Ledger,
  home: string,
  path: string,
  seen: bigint,
  { fence, versions, live }: Omit<StagelessPath, 'generation'>,
): Promise<boolean> {
  return ledger.transaction(async (within) => {
    const values = [home, path, seen, fence, live ? JSON.stringify(live) : null];
    const changed =
      seen === 0n
        ? await within.query(
            `INSERT INTO rotor.stageless_paths (home, path, generation, fence, live)
             VALUES ($1, $2, $3::bigint + 1, $4, $5) ON CONFLICT DO NOTHING RETURNING generation`,
            values,
          )
        : await within.query(
            `UPDATE rotor.stageless_paths SET generation = generation + 1, fence = $4, live = $5
              WHERE home = $1 AND path = $2 AND generation = $3 AND fence <= $4 RETURNING generation`,
            values,
          );
    if (changed.length === 0) return false;
    await within.query(
      'DELETE FROM rotor.stageless_versions WHERE home = $1 AND path = $2 AND version_id <> ALL ($3::text[])',
      [home, path, versions.map(({ versionId }) => versionId)],
    );
    // The document of a version never changes; only its wrapping does, and that isn't taken back to an older one here.
    await within.query(
      `INSERT INTO rotor.stageless_versions AS v (home, path, version_id, position, created_at, stages, sealed)
       SELECT $1, $2, e.value ->> 'versionId', e.ordinality, (e.value ->> 'createdAt')::timestamptz,
              ARRAY (SELECT jsonb_array_elements_text(e.value -> 'stages')), e.value ->> 'sealed'
         FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS e
       ON CONFLICT (home, path, version_id) DO UPDATE SET position = excluded.position, stages = excluded.stages`,
      [home, path, JSON.stringify(versions)],
    );
    return true;
  });
}

export interface SealedRow {
  readonly home: string;
  readonly path: string;
  readonly versionId: string;
  readonly sealed: string;
}

/** Versions that another key than `keyId` wraps, `limit` at most; `rotor1.<key id>.` begins what is sealed. */
export async function sealedByOtherKeys(
  ledger: Ledger,
  keyId: string,
  limit: number,
): Promise<readonly SealedRow[]> {
  return ledger.query<SealedRow & Record<string, unknown>>(
    `SELECT home, path, version_id AS "versionId", sealed FROM rotor.stageless_versions
      WHERE split_part(sealed, '.', 2) <> $1 ORDER BY home, path, version_id LIMIT $2`,
    [keyId, limit],
  );
}

/** Puts the same document in a new wrapping in its place. @returns false when it was changed or discarded meanwhile */
export async function replaceSealed(
  ledger: Ledger,
  { home, path, versionId, sealed }: SealedRow,
  rewrapped: string,
): Promise<boolean> {
  const rows = await ledger.query(
    `UPDATE rotor.stageless_versions SET sealed = $5
      WHERE home = $1 AND path = $2 AND version_id = $3 AND sealed = $4 RETURNING version_id`,
    [home, path, versionId, sealed, rewrapped],
  );
  return rows.length === 1;
}

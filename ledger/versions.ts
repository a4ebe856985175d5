import type { Ledger } from './database.ts';

/** A credential version's life. `discarded`: it never became current, somebody replaced it in its store before any
 * rotation used it, or a person says to have killed it where no attempt can show it. `revoked`: refused in a real attempt since. */
export type VersionState = 'pending' | 'current' | 'previous' | 'revoked' | 'discarded';

/** Whether nobody is to log in with such a version any more. */
export function isDead(state: VersionState | null | undefined): boolean {
  return state === 'revoked' || state === 'discarded';
}

export interface VersionChange {
  readonly id: string;
  readonly state: VersionState;
  readonly identity?: string;
  /** Keyed fingerprint of the secret, hexadecimal. */
  readonly fingerprint?: string;
}

export interface CredentialVersion {
  readonly id: string;
  readonly policyUid: string;
  readonly state: VersionState;
  readonly identity: string;
  readonly compromised: boolean;
  /** It was found in its store: no rotation made it. */
  readonly found: boolean;
  /** When the provider began to refuse it because it has leaked. */
  readonly containedAt: Date | undefined;
  /** From then on nobody waits for those who still use it. */
  readonly revokeBy: Date | undefined;
  readonly createdAt: Date;
  readonly currentAt: Date | undefined;
  readonly revokedAt: Date | undefined;
}

interface VersionRow {
  id: string;
  policy_uid: string;
  state: VersionState;
  identity: string;
  compromised: boolean;
  found: boolean;
  contained_at: Date | null;
  revoke_by: Date | null;
  created_at: Date;
  current_at: Date | null;
  revoked_at: Date | null;
}

const COLUMNS =
  'id, policy_uid, state, identity, compromised, found_at IS NOT NULL AS found, contained_at, revoke_by, created_at, current_at, revoked_at';

/** Newest first. */
export async function listVersions(
  ledger: Ledger,
  policyUid: string,
  limit = 20,
): Promise<readonly CredentialVersion[]> {
  const rows = await ledger.query<VersionRow & Record<string, unknown>>(
    `SELECT ${COLUMNS} FROM rotor.credential_versions WHERE policy_uid = $1 ORDER BY created_at DESC LIMIT $2`,
    [policyUid, limit],
  );
  return rows.map(fromRow);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A version's policy as it is now. */
export interface VersionOwner {
  readonly policyUid: string;
  /** `namespace/name`. */
  readonly policy: string;
  readonly spec: unknown;
  readonly paused: boolean;
}

/** @param id anything that somebody says is a version */
export async function ownerOfVersion(ledger: Ledger, id: string): Promise<VersionOwner | undefined> {
  if (!UUID.test(id)) return undefined;
  const [row] = await ledger.query<{ uid: string; policy: string; spec: unknown; paused: boolean }>(
    `SELECT p.uid, p.namespace || '/' || p.name AS policy, p.spec, p.paused
       FROM rotor.credential_versions v JOIN rotor.policies p ON p.uid = v.policy_uid WHERE v.id = $1`,
    [id],
  );
  return row && { policyUid: row.uid, policy: row.policy, spec: row.spec, paused: row.paused };
}

/** Every version that ever had this secret, whichever policy it belongs to. `fingerprint` is the keyed one. */
export async function findVersionsByFingerprint(
  ledger: Ledger,
  fingerprint: Buffer,
): Promise<readonly CredentialVersion[]> {
  const rows = await ledger.query<VersionRow & Record<string, unknown>>(
    `SELECT ${COLUMNS} FROM rotor.credential_versions WHERE fingerprint = $1 ORDER BY created_at DESC`,
    [fingerprint],
  );
  return rows.map(fromRow);
}

/** Compromised is terminal: nothing ever goes back to such a version. */
export async function isCompromised(ledger: Ledger, id: string): Promise<boolean> {
  const rows = await ledger.query('SELECT FROM rotor.credential_versions WHERE id = $1 AND compromised', [
    id,
  ]);
  return rows.length > 0;
}

/**
 * Marks versions as leaked.
 * @param leaked with the time from which on nobody waits for those who still use it; never moved back by a later report
 */
export async function markCompromised(
  ledger: Ledger,
  leaked: readonly { readonly id: string; readonly revokeInMs?: number | undefined }[],
): Promise<void> {
  await ledger.query(
    `UPDATE rotor.credential_versions v
        SET compromised = true,
            revoke_by = least(v.revoke_by, clock_timestamp() + l."revokeInMs" * interval '1 millisecond')
       FROM jsonb_to_recordset($1::jsonb) AS l (id uuid, "revokeInMs" double precision) WHERE v.id = l.id`,
    [JSON.stringify(leaked)],
    'mark-compromised',
  );
}

function fromRow(row: VersionRow): CredentialVersion {
  return {
    id: row.id,
    policyUid: row.policy_uid,
    state: row.state,
    identity: row.identity,
    compromised: row.compromised,
    found: row.found,
    containedAt: row.contained_at ?? undefined,
    revokeBy: row.revoke_by ?? undefined,
    createdAt: row.created_at,
    currentAt: row.current_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
  };
}

import { createHash, randomBytes } from 'node:crypto';
import { SecretValue } from '../core/secret.ts';
import type { Ledger } from './database.ts';

/** viewer reads; operator also rotates and pauses; responder also answers compromises; admin also applies and manages tokens. */
export const ROLES = ['viewer', 'operator', 'responder', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface Token {
  readonly name: string;
  readonly role: Role;
  /** The person who holds it; one person may hold several. Its name when nobody was named. */
  readonly owner: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
}

type TokenRow = {
  name: string;
  role: Role;
  owner: string;
  created_at: Date;
  expires_at: Date | null;
};

/**
 * Makes an API token (256 random bits) and keeps its hash; a token of the same name is replaced.
 * @returns the token, which can't be read again
 */
export async function createToken(
  ledger: Ledger,
  name: string,
  role: Role,
  expiresAt?: Date,
  owner?: string,
): Promise<SecretValue> {
  const token = SecretValue.of(`rotor_${randomBytes(32).toString('base64url')}`);
  await ledger.query(
    `INSERT INTO rotor.tokens (name, role, hash, expires_at, owner) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (name) DO UPDATE SET role = excluded.role, hash = excluded.hash, expires_at = excluded.expires_at,
       owner = excluded.owner, created_at = clock_timestamp(), revoked_at = NULL`,
    [name, role, hashOf(token), expiresAt ?? null, owner ?? null],
  );
  return token;
}

/** Who holds this token; undefined when it is unknown, expired or revoked. */
export async function findToken(ledger: Ledger, token: SecretValue): Promise<Token | undefined> {
  const rows = await ledger.query<TokenRow>(
    `SELECT name, role, coalesce(owner, name) AS owner, created_at, expires_at FROM rotor.tokens
      WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
    [hashOf(token)],
    'find-token',
  );
  const row = rows[0];
  return (
    row && {
      name: row.name,
      role: row.role,
      owner: row.owner,
      createdAt: row.created_at,
      expiresAt: row.expires_at ?? undefined,
    }
  );
}

export async function listTokens(ledger: Ledger): Promise<readonly Token[]> {
  const rows = await ledger.query<TokenRow>(
    'SELECT name, role, coalesce(owner, name) AS owner, created_at, expires_at FROM rotor.tokens WHERE revoked_at IS NULL ORDER BY name',
  );
  return rows.map((row) => ({
    name: row.name,
    role: row.role,
    owner: row.owner,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
  }));
}

/** @returns whether there was such a token */
export async function revokeToken(ledger: Ledger, name: string): Promise<boolean> {
  const rows = await ledger.query(
    'UPDATE rotor.tokens SET revoked_at = clock_timestamp() WHERE name = $1 AND revoked_at IS NULL RETURNING name',
    [name],
  );
  return rows.length === 1;
}

function hashOf(token: SecretValue): Buffer {
  return createHash('sha256').update(token.reveal()).digest();
}

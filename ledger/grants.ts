import pg from 'pg';
import type { Logger } from '../core/log.ts';
import type { SecretValue } from '../core/secret.ts';
import { ledgerError } from './database.ts';

/** Nobody who only works with the ledger needs to take history away, or to say which migrations have run. */
const TIGHTER: Readonly<Record<string, string>> = {
  audit: 'SELECT, INSERT, UPDATE',
  migrations: 'SELECT',
  migration: 'SELECT',
};
const USUAL = 'SELECT, INSERT, UPDATE, DELETE';

/**
 * Lets a role of the database work with a schema without being able to change it: rows of every table but not their
 * definitions, sequences, functions; no DELETE in the audit trail. To be repeated after migrations that add tables.
 * @param schema `rotor`, or the one of a queue in PostgreSQL
 * @throws RotorError `ledger.unavailable`, `ledger.not-found` when there is no such role
 */
export async function grantUse(
  url: SecretValue,
  schema: 'rotor' | 'rotor_queue',
  role: string,
  log: Logger,
): Promise<void> {
  const client = new pg.Client({ connectionString: url.reveal(), connectionTimeoutMillis: 10_000 });
  client.on('error', (error) => log.warn({ err: error }, 'the connection was lost'));
  const to = pg.escapeIdentifier(role);
  try {
    await client.connect();
    await client.query('BEGIN');
    await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${to}`);
    await client.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${to}`);
    await client.query(`GRANT EXECUTE ON ALL ROUTINES IN SCHEMA ${schema} TO ${to}`);
    const tables = await client.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1 AND table_type = 'BASE TABLE'",
      [schema],
    );
    for (const { name } of tables.rows) {
      const rights = TIGHTER[name] ?? USUAL;
      const table = `${schema}.${pg.escapeIdentifier(name)}`;
      await client.query(`REVOKE ALL ON ${table} FROM ${to}`);
      await client.query(`GRANT ${rights} ON ${table} TO ${to}`);
    }
    await client.query('COMMIT');
  } catch (error) {
    throw ledgerError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

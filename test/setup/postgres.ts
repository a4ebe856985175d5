import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** On the shared server: a migrated ledger, to be copied. Nobody may be connected to it. */
export const LEDGER_TEMPLATE = 'rotor_ledger_template';

/**
 * A fresh database, on the shared server unless told otherwise. Roles are global to the server: prefix them with `name`.
 * @param server connection string of a superuser
 * @param template database of that server to be copied
 */
export async function freshDatabase(
  server = inject('postgresUrl'),
  template?: string,
): Promise<{ url: string; name: string; drop: () => Promise<void> }> {
  const name = `t_${randomBytes(6).toString('hex')}`;
  await onServer(server, `CREATE DATABASE ${name}${template ? ` TEMPLATE ${template}` : ''}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    drop: () => onServer(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function onServer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

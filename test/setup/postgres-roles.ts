import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freshDatabase } from './postgres.ts';

/** A database with an application: owner role, one login role in use, and an admin role without superuser rights. */
export interface Application {
  readonly name: string;
  readonly port: number;
  readonly superuserUrl: string;
  readonly roles: readonly [string, string];
  readonly owner: string;
  readonly admin: string;
  readonly adminFile: string;
  readonly folder: string;
  readonly initial: { readonly username: string; readonly password: string };
  provider(overrides?: object): object;
  sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
  drop(): Promise<void>;
}

/** @param server connection string of a superuser; the shared server's when absent */
export async function anApplication(server?: string): Promise<Application> {
  const database = await freshDatabase(server);
  const { name } = database;
  const [blue, green, owner, admin] = ['blue', 'green', 'owner', 'admin'].map(
    (suffix) => `${name}_${suffix}`,
  ) as [string, string, string, string];
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  const { port } = client;
  await client.query(`
    CREATE ROLE ${owner} NOLOGIN;
    CREATE ROLE ${admin} LOGIN CREATEROLE PASSWORD 'admin-password';
    GRANT pg_signal_backend, pg_read_all_stats TO ${admin};
    GRANT ${owner} TO ${admin} WITH ADMIN OPTION;
    CREATE ROLE ${blue} LOGIN PASSWORD 'first-password' IN ROLE ${owner};
    GRANT ${blue} TO ${admin} WITH ADMIN OPTION;
    ALTER ROLE ${blue} SET role = ${owner};
    GRANT ALL ON SCHEMA public TO ${owner};
  `);
  const folder = await mkdtemp(join(tmpdir(), 'rotor-app-'));
  const adminFile = join(folder, 'admin');
  await writeFile(adminFile, 'admin-password\n', { mode: 0o600 });
  return {
    name,
    port,
    superuserUrl: database.url,
    roles: [blue, green],
    owner,
    admin,
    adminFile,
    folder,
    initial: { username: blue, password: 'first-password' },
    provider: (overrides = {}) => ({
      hosts: [{ host: '127.0.0.1', port }],
      database: name,
      admin: { username: admin, passwordFrom: { file: adminFile } },
      ...overrides,
    }),
    sql: async (text) => (await client.query(text)).rows,
    drop: async () => {
      await client.end();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

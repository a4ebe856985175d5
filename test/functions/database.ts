import pg from 'pg';
import { freshDatabase } from '../setup/postgres.ts';
import type { Secrets } from './stage.ts';

/** A database with an application's user and an admin without superuser rights, and AWS's secrets of both. */
export interface Stage {
  readonly user: string;
  readonly clone: string;
  readonly adminSecret: string;
  /** Contents of the user's secret; with `masterarn` for alternating users. */
  secretOf(overrides?: object): Record<string, unknown>;
  sql<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
  /** Whether the database lets the user of this document in. */
  accepts(document: Readonly<Record<string, unknown>>): Promise<boolean>;
  drop(): Promise<void>;
}

export async function aDatabase(secrets: Pick<Secrets, 'create'>): Promise<Stage> {
  const database = await freshDatabase();
  const { name } = database;
  const [user, admin] = [`${name}_app`, `${name}_admin`];
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  const { port } = client;
  await client.query(`
    CREATE ROLE ${admin} LOGIN CREATEROLE PASSWORD 'admin-password';
    CREATE ROLE ${user} LOGIN PASSWORD 'first-password';
    GRANT ${user} TO ${admin} WITH ADMIN OPTION;
    GRANT ALL ON SCHEMA public TO ${user};
  `);
  const place = { engine: 'postgres', host: '127.0.0.1', port, dbname: name };
  const adminSecret = await secrets.create({ ...place, username: admin, password: 'admin-password' });
  return {
    user,
    clone: `${user}_clone`,
    adminSecret,
    secretOf: (overrides = {}) => ({ ...place, username: user, password: 'first-password', ...overrides }),
    sql: async (text) => (await client.query(text)).rows,
    accepts: async ({ username, password }) => {
      const login = new pg.Client({
        host: '127.0.0.1',
        port,
        database: name,
        user: String(username),
        password: String(password),
      });
      login.on('error', () => undefined);
      try {
        await login.connect();
        return true;
      } catch (error) {
        if ((error as { code?: string }).code === '28P01') return false;
        throw error;
      } finally {
        await login.end().catch(() => undefined);
      }
    },
    drop: async () => {
      await client.query(`DROP OWNED BY ${user}, ${admin}`).catch(() => undefined);
      await client.end();
      await database.drop();
    },
  };
}

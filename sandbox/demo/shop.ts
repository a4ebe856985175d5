import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';

export interface Shop {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** File with the admin role's password, for the Provider's reference. */
  readonly adminFile: string;
  readonly web: Account;
  readonly jobs: Account;
}

/** What one application logs in with. */
export interface Account {
  /** The roles that take turns; both belong to `shop_owner`. */
  readonly roles: readonly [string, string];
  /** The credential that it uses before Rotor knows it. */
  readonly initial: Readonly<Record<string, string>>;
  /** The same, for the policy's reference. */
  readonly initialFile: string;
}

/** The database of the demo: tables of a shop, their owner role, an admin, and a role with a password for each application. */
export async function makeShop(superuserUrl: string, folder: string): Promise<Shop> {
  const server = new pg.Client({ connectionString: superuserUrl });
  await server.connect();
  const admin = randomBytes(18).toString('base64url');
  const passwords = {
    web: randomBytes(18).toString('base64url'),
    jobs: randomBytes(18).toString('base64url'),
  };
  const quoted = (text: string) => pg.escapeLiteral(text);
  for (const statement of [
    'DROP DATABASE IF EXISTS shop WITH (FORCE)',
    'DROP ROLE IF EXISTS web_a, web_b, jobs_a, jobs_b, shop_rotor',
    'DROP ROLE IF EXISTS shop_owner',
    'CREATE ROLE shop_owner NOLOGIN',
    `CREATE ROLE shop_rotor LOGIN CREATEROLE PASSWORD ${quoted(admin)}`,
    'GRANT pg_read_all_stats, pg_signal_backend TO shop_rotor',
    'GRANT shop_owner TO shop_rotor WITH ADMIN OPTION',
    ...Object.entries(passwords).flatMap(([name, password]) => [
      `CREATE ROLE ${name}_a LOGIN PASSWORD ${quoted(password)} IN ROLE shop_owner`,
      `GRANT ${name}_a TO shop_rotor WITH ADMIN OPTION`,
      `ALTER ROLE ${name}_a SET role = shop_owner`,
    ]),
    'CREATE DATABASE shop OWNER shop_owner',
  ]) {
    await server.query(statement);
  }
  const { host, port } = server;
  await server.end();

  const client = await connectToShop(superuserUrl);
  await client.query(`
    SET ROLE shop_owner;
    CREATE SCHEMA shop;
    CREATE TABLE shop.products (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
    CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client text NOT NULL, amount integer NOT NULL);
    INSERT INTO shop.products (name) SELECT 'product ' || n FROM generate_series(1, 100) AS n;
  `);
  await client.end();

  const file = async (name: string, content: string) => {
    const path = join(folder, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const account = async (name: 'web' | 'jobs'): Promise<Account> => {
    const initial = {
      engine: 'postgres',
      host,
      port: String(port),
      dbname: 'shop',
      username: `${name}_a`,
      password: passwords[name],
    };
    return {
      roles: [`${name}_a`, `${name}_b`],
      initial,
      initialFile: await file(`${name}-initial.json`, JSON.stringify(initial)),
    };
  };
  return {
    host,
    port,
    database: 'shop',
    adminFile: await file('admin-password', admin),
    web: await account('web'),
    jobs: await account('jobs'),
  };
}

/** How many orders the clients have made, by the database's own account: each of their queries makes one. */
export async function countOrders(superuserUrl: string): Promise<number> {
  const client = await connectToShop(superuserUrl);
  try {
    const { rows } = await client.query<{ orders: number }>(
      'SELECT count(*)::integer AS orders FROM shop.orders',
    );
    return rows[0]?.orders ?? 0;
  } finally {
    await client.end();
  }
}

async function connectToShop(superuserUrl: string): Promise<pg.Client> {
  const url = new URL(superuserUrl);
  url.pathname = '/shop';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  return client;
}

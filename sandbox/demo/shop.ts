import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { APP_NAMES, type AppName } from './app-names.ts';

export interface Shop extends Readonly<Record<AppName, Account>> {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** File with the admin role's password, for the Provider's reference. */
  readonly adminFile: string;
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
  const passwords = new Map(APP_NAMES.map((name) => [name, randomBytes(18).toString('base64url')]));
  const quoted = (text: string) => pg.escapeLiteral(text);
  for (const statement of [
    'DROP DATABASE IF EXISTS shop WITH (FORCE)',
    `DROP ROLE IF EXISTS ${APP_NAMES.map((name) => `${name}_a, ${name}_b`).join()}, shop_rotor`,
    'DROP ROLE IF EXISTS shop_owner',
    'CREATE ROLE shop_owner NOLOGIN',
    `CREATE ROLE shop_rotor LOGIN CREATEROLE PASSWORD ${quoted(admin)}`,
    'GRANT pg_read_all_stats, pg_signal_backend TO shop_rotor',
    'GRANT shop_owner TO shop_rotor WITH ADMIN OPTION',
    ...[...passwords].flatMap(([name, password]) => [
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
  const account = async (name: AppName): Promise<Account> => {
    const initial = {
      engine: 'postgres',
      host,
      port: String(port),
      dbname: 'shop',
      username: `${name}_a`,
      password: passwords.get(name) ?? '',
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
    mail: await account('mail'),
  };
}

/**
 * How many orders the clients of these applications have made, by the database's own account: each of their queries makes
 * one.
 */
export async function countOrders(superuserUrl: string, apps: readonly AppName[]): Promise<number> {
  const client = await connectToShop(superuserUrl);
  try {
    const { rows } = await client.query<{ orders: number }>(
      "SELECT count(*)::integer AS orders FROM shop.orders WHERE split_part(client, '-', 1) = ANY ($1)",
      [apps],
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

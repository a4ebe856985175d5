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
  /** The credential that the application uses before Rotor knows it. */
  readonly initialFile: string;
  /** What the clients read. */
  readonly deliveredFile: string;
}

/** The database of the demo: tables of a shop, their owner role, one application role with a password, an admin. */
export async function makeShop(superuserUrl: string, folder: string): Promise<Shop> {
  const server = new pg.Client({ connectionString: superuserUrl });
  await server.connect();
  const admin = randomBytes(18).toString('base64url');
  const application = randomBytes(18).toString('base64url');
  const quoted = (text: string) => pg.escapeLiteral(text);
  for (const statement of [
    'DROP DATABASE IF EXISTS shop WITH (FORCE)',
    'DROP ROLE IF EXISTS shop_blue, shop_green, shop_rotor',
    'DROP ROLE IF EXISTS shop_owner',
    'CREATE ROLE shop_owner NOLOGIN',
    `CREATE ROLE shop_rotor LOGIN CREATEROLE PASSWORD ${quoted(admin)}`,
    'GRANT pg_read_all_stats, pg_signal_backend TO shop_rotor',
    'GRANT shop_owner TO shop_rotor WITH ADMIN OPTION',
    `CREATE ROLE shop_blue LOGIN PASSWORD ${quoted(application)} IN ROLE shop_owner`,
    'GRANT shop_blue TO shop_rotor WITH ADMIN OPTION',
    'ALTER ROLE shop_blue SET role = shop_owner',
    'CREATE DATABASE shop OWNER shop_owner',
  ]) {
    await server.query(statement);
  }
  const { host, port } = server;
  await server.end();

  const url = new URL(superuserUrl);
  url.pathname = '/shop';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
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
  const credential = {
    engine: 'postgres',
    host,
    port: String(port),
    dbname: 'shop',
    username: 'shop_blue',
    password: application,
  };
  return {
    host,
    port,
    database: 'shop',
    adminFile: await file('admin-password', admin),
    initialFile: await file('initial.json', JSON.stringify(credential)),
    deliveredFile: await file('credential.json', JSON.stringify(credential)),
  };
}

import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { foreignCode, RotorError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { SecretValue } from '../core/secret.ts';
import { MIGRATIONS } from './schema.ts';

/** The ledger's database. Only files of this folder touch it; everybody else calls their functions. */
export interface Ledger {
  /** Runs one statement; `name` makes it a prepared one. */
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
    name?: string,
  ): Promise<Row[]>;
  /** Runs `work` in one transaction on one connection. */
  transaction<T>(work: (ledger: Ledger) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** For who reads manifests and opens nothing. */
export const noLedger: Ledger = {
  query: () => Promise.reject(new RotorError('internal.bug', { what: 'there is no ledger here' })),
  transaction: () => Promise.reject(new RotorError('internal.bug', { what: 'there is no ledger here' })),
  close: () => Promise.resolve(),
};

export interface LedgerOptions {
  readonly url: SecretValue;
  readonly log: Logger;
  /** Connections at most, 10 by default. */
  readonly connections?: number;
  /** Session settings, for instance `{ synchronous_commit: 'off' }` in benchmarks. */
  readonly settings?: Readonly<Record<string, string>>;
}

const INT8 = 20;
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8
      ? (text: string) => BigInt(text)
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
};

/**
 * Connects to the ledger; `migrateLedger` must have run before.
 * Statements throw RotorError `ledger.unavailable` (retryable) when the database can't be reached.
 */
export function openLedger(options: LedgerOptions): Ledger {
  const settings = Object.entries({ application_name: 'rotor', ...options.settings });
  const pool = new pg.Pool({
    connectionString: options.url.reveal(),
    max: options.connections ?? 10,
    connectionTimeoutMillis: 10_000,
    types,
    options: settings.map(([name, value]) => `-c ${name}=${value}`).join(' '),
  });
  // An idle connection that the server ends is replaced by the next query; without a listener it would end the process.
  pool.on('error', (error) => options.log.warn({ err: error }, 'a ledger connection was lost'));
  return {
    query: (text, values, name) => run(pool, text, values, name),
    transaction: (work) => inTransaction(pool, work),
    close: () => pool.end(),
  };
}

async function run<Row extends pg.QueryResultRow>(
  on: pg.Pool | pg.ClientBase,
  text: string,
  values: readonly unknown[] = [],
  name?: string,
): Promise<Row[]> {
  try {
    const query = { text, values: [...values], ...(name === undefined ? {} : { name }) };
    return (await on.query<Row>(query)).rows;
  } catch (error) {
    throw ledgerError(error);
  }
}

async function inTransaction<T>(pool: pg.Pool, work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw ledgerError(error);
  });
  let broken = false;
  const ledger: Ledger = {
    query: (text, values, name) => run(client, text, values, name),
    transaction: (inner) => inner(ledger),
    close: async () => undefined,
  };
  try {
    await ledger.query('BEGIN');
    const result = await work(ledger);
    await ledger.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Applies the numbered migrations, each start once, several processes at once in turn.
 * @returns the names of those that were missing
 */
export async function migrateLedger(url: SecretValue, log: Logger): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url.reveal(), connectionTimeoutMillis: 10_000 });
  client.on('error', (error) => log.warn({ err: error }, 'the migration connection was lost'));
  try {
    await client.connect();
    const applied = await runner({
      dbClient: client,
      dir: MIGRATIONS,
      ignorePattern: '(?!.*\\.sql$).*',
      direction: 'up',
      migrationsTable: 'migrations',
      migrationsSchema: 'rotor',
      createMigrationsSchema: true,
      singleTransaction: true,
      advisoryLockMode: 'wait',
      logger: {
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: () => undefined,
      },
    });
    const names = applied.map(({ name }) => name);
    if (names.length > 0) log.info({ migrations: names }, 'ledger migrated');
    return names;
  } catch (error) {
    throw ledgerError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const CONNECTION_LOST =
  /^(08|57P0[123]|53|40001|40P01|ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH)/;

/** Connection trouble becomes retryable; anything else is a bug of a statement here, named by its SQLSTATE alone. */
export function ledgerError(error: unknown): RotorError {
  if (error instanceof RotorError) return error;
  const code = foreignCode(error);
  const message = error instanceof Error ? error.message : '';
  if (code === '28P01' || code === '28000' || code === '3D000') {
    const what = `the ledger's database refuses the connection (SQLSTATE ${code})`;
    return new RotorError('ledger.unavailable', {
      what,
      kind: 'terminal',
      hint: 'Check user, password and database in ROTOR_DATABASE_URL.',
      cause: error,
    });
  }
  if (code === '42704') {
    return new RotorError('ledger.not-found', {
      what: "the ledger's database has no such role",
      hint: 'Create it first: CREATE ROLE ... LOGIN.',
      cause: error,
    });
  }
  if (code === '53100') {
    return new RotorError('ledger.unavailable', {
      what: `the ledger's database has no disk space left (SQLSTATE ${code})`,
      hint: 'Free disk space at the database server; Rotor goes on by itself.',
      cause: error,
    });
  }
  if (
    (code && CONNECTION_LOST.test(code)) ||
    /connection terminated|timeout|Connection ended/i.test(message)
  ) {
    return new RotorError('ledger.unavailable', {
      what: `the ledger's database can't be reached (${code ?? 'connection lost'})`,
      cause: error,
    });
  }
  if (code === '23505')
    return new RotorError('ledger.conflict', { what: 'the ledger already has such a row', cause: error });
  return new RotorError('internal.bug', {
    what: `a ledger statement failed (${code ?? 'no SQLSTATE'})`,
    cause: error,
  });
}

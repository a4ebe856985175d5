import type { Config } from '../../core/config.ts';
import { RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { migrateLedger } from '../../ledger/database.ts';
import { grantUse } from '../../ledger/grants.ts';
import { isPostgres, QUEUE_SCHEMA } from '../../workers/queue/connection.ts';
import { openQueue } from '../../workers/queue/queue.ts';

export interface Migrated {
  /** Names of the migrations that the ledger lacked. */
  readonly applied: readonly string[];
  /** Whether the queue is in PostgreSQL, and so has a schema as well. */
  readonly queue: boolean;
  /** Role that may work with both from now on. */
  readonly granted: string | undefined;
}

/**
 * Brings the schemas of ledger and queue to this version, as the user of ROTOR_DATABASE_URL, and lets `role` work with
 * them. May be repeated, and run by several at once.
 * @throws RotorError `config.invalid`, `ledger.unavailable`, `ledger.not-found` when there is no such role
 */
export async function migrate(config: Config, log: Logger, role?: string): Promise<Migrated> {
  if (!config.databaseUrl) {
    throw new RotorError('config.invalid', {
      what: 'ROTOR_DATABASE_URL is not set',
      hint: 'Set it or ROTOR_DATABASE_URL_FILE. The embedded database needs no command: it is migrated at each start.',
    });
  }
  const queueUrl = config.queueUrl ?? config.databaseUrl;
  const queue = isPostgres(queueUrl);
  const applied = await migrateLedger(config.databaseUrl, log);
  if (queue) await (await openQueue({ url: queueUrl, log, migrate: true })).close();
  if (role !== undefined) {
    await grantUse(config.databaseUrl, 'rotor', role, log);
    if (queue) await grantUse(queueUrl, QUEUE_SCHEMA, role, log);
  }
  return { applied, queue, granted: role };
}

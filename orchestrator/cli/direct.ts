import { systemClock } from '../../core/clock.ts';
import type { Config } from '../../core/config.ts';
import { readConfig } from '../../core/config.ts';
import { parseDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import type { SecretValue } from '../../core/secret.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { type Ledger, openLedger } from '../../ledger/database.ts';
import { createToken } from '../../ledger/tokens.ts';
import { tokenBody } from '../api/routes.ts';

export interface TokenFlags {
  readonly role: string;
  readonly owner?: string;
  readonly expiresIn?: string;
  readonly direct?: boolean;
}

/**
 * Makes an API token in the ledger itself: whoever may write there needs no token to make one, and the trail says that
 * it was made so.
 * @throws RotorError `api.invalid`, `config.invalid`, `ledger.unavailable`
 */
export async function firstToken(name: string, { role, owner, expiresIn }: TokenFlags): Promise<SecretValue> {
  const asked = tokenBody.safeParse({
    name,
    role,
    ...(owner === undefined ? {} : { owner }),
    ...(expiresIn === undefined ? {} : { expiresIn }),
  });
  if (!asked.success) {
    const fields = [...new Set(asked.error.issues.map(({ path }) => path.join('.')))].join(', ');
    throw new RotorError('api.invalid', { what: `missing or not valid: ${fields}` });
  }
  const ms = expiresIn === undefined ? undefined : parseDuration(expiresIn);
  const expiresAt = ms === undefined ? undefined : new Date(systemClock.now().getTime() + ms);
  return withLedger(readConfig(process.env), (ledger) =>
    ledger.transaction(async (transaction) => {
      const token = await createToken(transaction, name, asked.data.role, expiresAt, owner);
      await appendAudit(transaction, {
        actor: 'database',
        action: 'token.created',
        subject: `token/${name}`,
        detail: { role, ...(owner === undefined ? {} : { owner }) },
      });
      return token;
    }),
  );
}

/** For what is done without a server. @throws RotorError `config.invalid` when no database is named */
export async function withLedger<T>(config: Config, work: (ledger: Ledger) => Promise<T>): Promise<T> {
  if (!config.databaseUrl)
    throw new RotorError('config.invalid', {
      what: 'ROTOR_DATABASE_URL is not set',
      hint: 'Set it, or leave out --direct while Rotor runs.',
    });
  const ledger = openLedger({ url: config.databaseUrl, log: silentLog, connections: 2 });
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

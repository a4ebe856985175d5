import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { foreignCode, RotorError } from '../core/errors.ts';
import type { Ledger } from './database.ts';

/** Folder of the numbered migrations. */
export const MIGRATIONS = fileURLToPath(new URL('migrations', import.meta.url));

export interface Standing {
  /** Known here, not applied there. */
  readonly missing: readonly string[];
  /** Applied there by a later version, not known here. */
  readonly unknown: readonly string[];
}

/** Compares names of migrations. */
export function standingOf(known: readonly string[], applied: readonly string[]): Standing {
  return {
    missing: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}

/**
 * Whether the ledger has exactly the schema that this version works with. Needs no right but to read it.
 * @throws RotorError `ledger.schema-older` when migrations are missing, `ledger.schema-newer` when a later version has run
 */
export async function assertSchema(ledger: Ledger): Promise<void> {
  const known = readdirSync(MIGRATIONS)
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.replace(/\.sql$/, ''))
    .sort();
  const { missing, unknown } = standingOf(known, await appliedMigrations(ledger));
  if (missing.length > 0) {
    const what = `the ledger's schema is older than this process: it has no ${missing.join(', ')}`;
    throw new RotorError('ledger.schema-older', { what });
  }
  if (unknown.length > 0) {
    const what = `the ledger's schema is newer than this process: it has ${unknown.join(', ')}`;
    throw new RotorError('ledger.schema-newer', { what });
  }
}

const UNDEFINED_TABLE = '42P01';
const NO_SUCH_SCHEMA = '3F000';

async function appliedMigrations(ledger: Ledger): Promise<readonly string[]> {
  try {
    const rows = await ledger.query<{ name: string }>('SELECT name FROM rotor.migrations ORDER BY id');
    return rows.map(({ name }) => name);
  } catch (error) {
    const cause = error instanceof RotorError ? error.cause : error;
    const code = foreignCode(cause) ?? '';
    if (code === UNDEFINED_TABLE || code === NO_SUCH_SCHEMA) return [];
    if (code === '42501') {
      throw new RotorError('ledger.schema-older', {
        what: "the database user may not read the ledger's schema",
        hint: 'Grant it by `rotor migrate --grant USER`, run as the user that owns the schema.',
        cause,
      });
    }
    throw error;
  }
}

import { readFile } from 'node:fs/promises';
import { RotorError } from '../../../core/errors.ts';

export interface Ids {
  readonly uid?: number;
  readonly gid?: number;
}

interface Named {
  readonly owner?: string | number | undefined;
  readonly group?: string | number | undefined;
}

/**
 * Numbers of an owner and a group. Names are looked up in /etc/passwd and /etc/group: Node has no other way, so
 * users of a directory service (LDAP) are given as numbers.
 * @throws RotorError `delivery.failed`, terminal, when a name is unknown
 */
export async function resolveIds({ owner, group }: Named): Promise<Ids> {
  return {
    ...(owner === undefined ? {} : { uid: await idOf('user', owner, '/etc/passwd') }),
    ...(group === undefined ? {} : { gid: await idOf('group', group, '/etc/group') }),
  };
}

async function idOf(what: string, name: string | number, database: string): Promise<number> {
  if (typeof name === 'number') return name;
  if (/^\d+$/.test(name)) return Number(name);
  const lines = (await readFile(database, 'utf8').catch(() => '')).split('\n');
  for (const line of lines) {
    const [known, , id] = line.split(':');
    if (known === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  throw new RotorError('delivery.failed', {
    what: `${what} ${JSON.stringify(name)} is not in ${database} of the worker`,
    hint: `Create the ${what} where the worker runs, or give its number.`,
    kind: 'terminal',
  });
}

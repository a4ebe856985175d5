import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Target } from './target.ts';

/** Names of the fields as AWS's own database secrets have them. */
export const FORMAT = { identity: 'username', secrets: ['password'] } as const;

/** The document that consumers get, in the shape of AWS's secrets; several hosts are joined as libpq takes them. */
export function fieldsOf(target: Target, username: string): Record<string, string> {
  return {
    engine: 'postgres',
    host: target.hosts.map(({ host }) => host).join(','),
    port: target.hosts.map(({ port }) => port).join(','),
    dbname: target.database,
    username,
  };
}

/**
 * A stored credential must belong to this provider: who can write the store must not be able to make Rotor change
 * another one's role. Rotor connects only where the provider says, never where the document says. A host that was
 * added to the provider or taken from it since is no reason to refuse.
 * @throws RotorError `provider.refused-credential`
 */
export function assertSamePlace(target: Target, credential: Credential, users: readonly string[]): void {
  const { host, port, dbname } = credential.fields;
  const expected = fieldsOf(target, credential.identity);
  if (host !== undefined && !placesOf(host, port).some((place) => isOneOf(target, place)))
    throw elsewhere(
      'host',
      port === undefined ? host : `${host} port ${port}`,
      `${expected.host} port ${expected.port}`,
    );
  if (dbname !== undefined && dbname !== target.database) throw elsewhere('dbname', dbname, target.database);
  if (users.includes(credential.identity)) return;
  throw new RotorError('provider.refused-credential', {
    what: `the stored credential is of ${credential.identity}, which is not ${users.join(' or ')}`,
    hint: 'Name the role that consumers use today in the policy, or store its credential.',
  });
}

/** As libpq reads them: one port for all hosts, or one for each. */
function placesOf(host: string, port: string | undefined): { host: string; port: string | undefined }[] {
  const ports = port?.split(',') ?? [];
  return host
    .split(',')
    .map((name, index) => ({ host: name, port: ports.length === 1 ? ports[0] : ports[index] }));
}

function isOneOf({ hosts }: Target, stored: { host: string; port: string | undefined }): boolean {
  return hosts.some(
    ({ host, port }) => host === stored.host && (stored.port === undefined || stored.port === String(port)),
  );
}

function elsewhere(field: string, stored: string, expected: string): RotorError {
  return new RotorError('provider.refused-credential', {
    what: `the stored credential names another ${field} ("${stored}") than its provider ("${expected}")`,
    hint: 'Correct the stored document or the provider: they must name the same server and database.',
  });
}

import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { connectPrimary, endConnection, type Login } from './connection.ts';
import { isLoginRefusal, postgresError } from './errors.ts';
import type { Target } from './target.ts';

/** @throws RotorError `credential.malformed` */
export function loginOf(credential: Credential): Login {
  const password = credential.secrets.password;
  if (!password)
    throw new RotorError('credential.malformed', { what: `version ${credential.versionId} has no password` });
  return { username: credential.identity, password };
}

/**
 * Logs in with a credential for real, on a connection of its own, at the primary.
 * @throws RotorError when the server couldn't be asked: a rejection by pg_hba.conf is no proof that a password is dead
 */
export async function attemptLogin(
  target: Target,
  call: Call,
  credential: Credential,
): Promise<'accepted' | 'refused'> {
  const doing = `trying the credential of ${credential.identity}`;
  try {
    const server = await connectPrimary(target, loginOf(credential), call);
    await endConnection(server.client);
    return 'accepted';
  } catch (error) {
    if (isLoginRefusal(error)) return 'refused';
    const problem = postgresError(error, 'connecting', doing);
    if (problem.code !== 'provider.refused-admin') throw problem;
    throw new RotorError('provider.unsupported', {
      what: `${doing}: the server rejects the connection for another reason than the password (pg_hba.conf, or no such database)`,
      hint: 'Let the worker connect as this role in pg_hba.conf, so that Rotor can try the credential.',
      cause: error,
    });
  }
}

/** @throws RotorError `provider.refused-credential` when the credential in use doesn't log in */
export async function assertLogsIn(target: Target, call: Call, current: Credential): Promise<void> {
  if ((await attemptLogin(target, call, current)) === 'accepted') return;
  throw new RotorError('provider.refused-credential', {
    what: `the current credential of ${current.identity} does not log in`,
  });
}

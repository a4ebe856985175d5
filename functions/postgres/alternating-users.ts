import { RotorError } from '../../core/errors.ts';
import { setCloneUser } from '../../rotators/postgres/clone-user.ts';
import type { Turn } from '../lambda/strategy.ts';
import { assertSameDatabase, assertUser, type DatabaseSecret, parseDatabaseSecret } from './secret.ts';
import type { DatabaseVersions } from './single-user.ts';
import { targetOf, transportsFor, tryLogin } from './transport.ts';

const SUFFIX = '_clone';

/**
 * `app` and `app_clone` take turns.
 * @throws RotorError `provider.unsupported` when the name gets longer than PostgreSQL allows
 */
export function otherUser(username: string): string {
  if (username.endsWith(SUFFIX)) return username.slice(0, -SUFFIX.length);
  const clone = `${username}${SUFFIX}`;
  if (Buffer.byteLength(clone) <= 63) return clone;
  throw new RotorError('provider.unsupported', {
    what: `user ${username} has no room for "${SUFFIX}" in the 63 bytes that PostgreSQL gives a name`,
    hint: 'Take a shorter user name for alternating users.',
  });
}

/** The admin that `masterarn` names gives the other user its password, and makes it when it isn't there. */
export async function setAlternatingUsers(turn: Turn, { pending, current }: DatabaseVersions): Promise<void> {
  const { call, env, secretId } = turn;
  assertUser(pending, otherUser(current.credential.identity));
  assertSameDatabase(pending, current, ['the pending version', 'the current one']);
  const { tls, verdict } = await tryLogin(
    call,
    current,
    pending.credential,
    transportsFor(current, env.TLS_CA_FILE),
  );
  if (verdict === 'accepted') {
    call.log.info('the database accepts the pending password already');
    return;
  }
  // Who could only write this secret, without knowing a password of the database, doesn't get the admin to work for them.
  if ((await tryLogin(call, current, current.credential, [tls])).verdict === 'refused') {
    throw new RotorError('provider.refused-credential', {
      what: `the current credential of secret ${secretId} does not log in as ${current.credential.identity}`,
      hint: 'Set the password of this user in the database to the one of AWSCURRENT, then rotate again.',
    });
  }
  const admin = await adminOf(turn, current);
  const reached = await tryLogin(call, current, admin.credential, transportsFor(admin, env.TLS_CA_FILE));
  if (reached.verdict === 'refused') {
    throw new RotorError('provider.refused-admin', {
      what: `user ${admin.credential.identity} of the admin secret ${current.adminSecretId} can't log in`,
      hint: 'Correct the secret that `masterarn` names.',
    });
  }
  const login = { username: admin.credential.identity, password: passwordOf(admin) };
  const target = targetOf(current, reached.tls);
  await setCloneUser(target, call, login, pending.credential, current.credential.identity);
}

async function adminOf(turn: Turn, current: DatabaseSecret): Promise<DatabaseSecret> {
  const id = current.adminSecretId;
  if (id === undefined) {
    throw new RotorError('credential.malformed', {
      what: `secret ${turn.secretId} has no "masterarn", which alternating users need`,
      hint: 'Add the ARN of the secret with the admin user as "masterarn", or set ROTATION_STRATEGY=single-user.',
    });
  }
  const admin = parseDatabaseSecret(await turn.readOther(id), `the admin secret ${id}`);
  assertSameDatabase(admin, current, ['the admin secret', 'the current version']);
  return admin;
}

function passwordOf(secret: DatabaseSecret) {
  const { password } = secret.credential.secrets;
  if (password) return password;
  throw new RotorError('internal.bug', { what: 'a database secret without a password passed the parser' });
}

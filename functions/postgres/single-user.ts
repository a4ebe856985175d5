import { RotorError } from '../../core/errors.ts';
import { singleUser } from '../../rotators/postgres/single-user.ts';
import { passwordRulesFrom } from '../lambda/environment.ts';
import type { Turn } from '../lambda/strategy.ts';
import { assertSameDatabase, assertUser, type DatabaseSecret } from './secret.ts';
import { type Tls, transportsFor, tryLogin } from './transport.ts';

export interface DatabaseVersions {
  readonly pending: DatabaseSecret;
  readonly current: DatabaseSecret;
  readonly previous: DatabaseSecret | undefined;
}

/**
 * The user changes its own password, logged in with whichever of its passwords the server takes: the pending one (then it
 * is done already), the current, the previous.
 */
export async function setSingleUser(turn: Turn, versions: DatabaseVersions): Promise<void> {
  const { call, env } = turn;
  const { pending, current } = versions;
  assertUser(pending, current.credential.identity);
  assertSameDatabase(pending, current, ['the pending version', 'the current one']);
  const first = await tryLogin(call, current, pending.credential, transportsFor(current, env.TLS_CA_FILE));
  if (first.verdict === 'accepted') {
    call.log.info('the database accepts the pending password already');
    return;
  }
  const known = await firstAccepted(turn, versions, first.tls);
  const session = singleUser(
    { hosts: [{ host: current.host, port: current.port }], database: current.database, tls: first.tls },
    {
      mode: 'single-user',
      role: current.credential.identity,
      acknowledgeNoOverlap: true,
      password: passwordRulesFrom(env),
    },
  );
  try {
    await session.install(call, pending.credential, known.credential);
  } finally {
    await session.close();
  }
}

async function firstAccepted(
  turn: Turn,
  { current, previous }: DatabaseVersions,
  tls: Tls,
): Promise<DatabaseSecret> {
  const { call, secretId } = turn;
  if ((await tryLogin(call, current, current.credential, [tls])).verdict === 'accepted') return current;
  if (previous) {
    assertUser(previous, current.credential.identity);
    assertSameDatabase(previous, current, ['the previous version', 'the current one']);
    if ((await tryLogin(call, current, previous.credential, [tls])).verdict === 'accepted') return previous;
  }
  throw new RotorError('provider.refused-credential', {
    what: `user ${current.credential.identity} of secret ${secretId} can't log in with its pending, current or previous password`,
    hint: 'Set its password in the database to the one of AWSCURRENT, then rotate again.',
  });
}

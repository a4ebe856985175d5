import { RotorError } from '../../core/errors.ts';
import { generatePassword } from '../../core/password.ts';
import { SecretValue } from '../../core/secret.ts';
import { passwordRulesFrom } from '../lambda/environment.ts';
import type { Strategy, Turn } from '../lambda/strategy.ts';
import { otherUser, setAlternatingUsers } from './alternating-users.ts';
import { type DatabaseSecret, parseDatabaseSecret } from './secret.ts';
import { setSingleUser } from './single-user.ts';
import { transportsFor, tryLogin } from './transport.ts';

/**
 * PostgreSQL as AWS's functions SecretsManagerRDSPostgreSQLRotationSingleUser and ...MultiUser do it, with their secrets.
 * A secret with `masterarn` alternates between two users, unless ROTATION_STRATEGY says otherwise.
 */
export const postgresStrategy: Strategy = {
  async create(turn, current) {
    const secret = read(turn, current, 'current');
    const password = generatePassword(passwordRulesFrom(turn.env), turn.call.random);
    const username = secret.credential.identity;
    return SecretValue.of(
      JSON.stringify({
        ...secret.document,
        username: alternates(turn, secret) ? otherUser(username) : username,
        password: password.reveal(),
      }),
    );
  },

  async set(turn, versions) {
    const current = read(turn, versions.current, 'current');
    const pending = read(turn, versions.pending, 'pending');
    if (alternates(turn, current))
      return setAlternatingUsers(turn, { pending, current, previous: undefined });
    return setSingleUser(turn, { pending, current, previous: readPrevious(turn, versions.previous) });
  },

  async test(turn, value) {
    const pending = read(turn, value, 'pending');
    const transports = transportsFor(pending, turn.env.TLS_CA_FILE);
    const { verdict } = await tryLogin(turn.call, pending, pending.credential, transports);
    if (verdict === 'accepted') return;
    throw new RotorError('provider.refused-credential', {
      what: `the pending password of ${pending.credential.identity} does not log in`,
      hint: 'Nothing is lost, AWSCURRENT is as it was: rotate again, which repeats setSecret.',
    });
  },
};

function read(turn: Turn, value: SecretValue, stage: string): DatabaseSecret {
  return parseDatabaseSecret(value, `the ${stage} version of secret ${turn.secretId}`, turn.versionId);
}

/** One that can't be read is no reason to give up: it is only the last resort. */
function readPrevious(turn: Turn, value: SecretValue | undefined): DatabaseSecret | undefined {
  if (!value) return undefined;
  try {
    return read(turn, value, 'previous');
  } catch {
    turn.call.log.warn('the previous version is not in the form of a database secret, and is passed over');
    return undefined;
  }
}

/** @throws RotorError `config.invalid` */
function alternates({ env }: Turn, secret: DatabaseSecret): boolean {
  switch (env.ROTATION_STRATEGY || undefined) {
    case undefined:
      return secret.adminSecretId !== undefined;
    case 'single-user':
      return false;
    case 'alternating-users':
      return true;
    default:
      throw new RotorError('config.invalid', {
        what: 'ROTATION_STRATEGY: needs single-user or alternating-users, or nothing',
      });
  }
}

import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { attemptLogin } from '../../rotators/postgres/login.ts';
import type { ProviderSpec } from '../../rotators/postgres/spec.ts';
import type { Target } from '../../rotators/postgres/target.ts';
import type { DatabaseSecret } from './secret.ts';

export type Tls = ProviderSpec['tls'];

export interface Reached {
  readonly tls: Tls;
  readonly verdict: 'accepted' | 'refused';
}

/**
 * The ways to speak to the server, the better one first. Without a word in the secret AWS's own functions go on in plain
 * when TLS fails for whatever reason, and secrets in use depend on it. It is no worse than asking: whoever sits in between
 * can deny TLS as well. Passwords aren't sent in plain even so: logins are by SCRAM, changes by verifier.
 * @param caFile authorities in PEM form; Node's own (and NODE_EXTRA_CA_CERTS) when absent
 */
export function transportsFor(
  { encryption }: Pick<DatabaseSecret, 'encryption'>,
  caFile?: string,
): readonly Tls[] {
  const encrypted: Tls = { mode: 'verify-full', ...(caFile ? { caFile } : {}) };
  if (encryption === 'required') return [encrypted];
  return encryption === 'off' ? [{ mode: 'disable' }] : [encrypted, { mode: 'disable' }];
}

export function targetOf({ host, port, database }: DatabaseSecret, tls: Tls): Target {
  return { hosts: [{ host, port }], database, tls };
}

/**
 * Logs in as `credential` over the first transport on which the server answers.
 * @throws RotorError when the server couldn't be asked: that says nothing of the password
 */
export async function tryLogin(
  call: Call,
  secret: DatabaseSecret,
  credential: Credential,
  transports: readonly Tls[],
): Promise<Reached> {
  let first: unknown;
  for (const tls of transports) {
    try {
      const verdict = await attemptLogin(targetOf(secret, tls), call, credential);
      if (first instanceof RotorError)
        call.log.warn({ err: first }, 'went on without TLS; "ssl": true in the secret would forbid it');
      return { tls, verdict };
    } catch (error) {
      first ??= error;
      // Certificates, a server without TLS, or a pg_hba.conf that wants it plain; anything else is no matter of TLS.
      if (!(error instanceof RotorError) || !['provider.tls', 'provider.unsupported'].includes(error.code))
        throw error;
    }
  }
  throw first;
}

import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { Deadline } from '../../../core/retry.ts';
import { SecretValue } from '../../../core/secret.ts';
import { VaultClient } from '../../../core/vault/client.ts';
import { unexpectedStatus } from '../../../core/vault/troubles.ts';
import type { Outcome, Performing } from '../outcome.ts';
import type { CustomVault } from '../runbook-schema.ts';

/**
 * Lets Vault revoke every lease under a prefix, such as the users that it made of one dynamic role, and waits until it has.
 * Repeated without harm: what was given out meanwhile is revoked too.
 * Source: Vault's page on the API of `/sys/leases`.
 */
export async function revokeLeases(
  { orchestrator }: Pick<Performing, 'orchestrator'>,
  spec: CustomVault,
): Promise<Outcome> {
  const { clock, random, log } = orchestrator;
  const call: Call = { deadline: Deadline.after(spec.timeout, clock), fence: 0n, clock, random, log };
  const client = new VaultClient(spec, 'provider');
  const [revoke, lookup] = ['revoke-prefix', 'lookup'].map(
    (what) => `sys/leases/${what}/${spec.revokePrefix}`,
  );
  try {
    const missing = await client.missing(call, {
      [revoke as string]: ['update', 'sudo'],
      [`${lookup}/`]: ['list', 'sudo'],
    });
    if (missing.length > 0) return { failed: `the policy of the token in Vault lacks ${missing.join('; ')}` };
    const before = await leases(client, call, `${lookup}/`);
    const answer = await client.request(call, 'PUT', revoke as string, SecretValue.of('{"sync":true}'));
    if (answer.status === 400)
      throw new RotorError('provider.proof-failed', {
        what: `Vault could not revoke all of ${spec.revokePrefix} (400): the database refuses, or is away`,
        hint: "Look into Vault's log, and at `revocation_statements` of the role.",
        kind: 'retryable',
      });
    if (answer.status !== 204 && answer.status !== 200)
      throw unexpectedStatus('provider', `PUT ${revoke}`, answer);
    const after = new Set(await leases(client, call, `${lookup}/`));
    const left = before.filter((lease) => after.has(lease)).length;
    if (left === 0) return { done: { prefix: spec.revokePrefix, revoked: before.length, since: after.size } };
    throw new RotorError('provider.proof-failed', {
      what: `Vault says that it revoked ${spec.revokePrefix}, and still holds ${left} leases of before`,
      kind: 'retryable',
    });
  } catch (thrown) {
    if (thrown instanceof RotorError && thrown.kind === 'terminal') return { failed: thrown.message };
    throw thrown;
  } finally {
    await client.close();
  }
}

/** Ids of the leases right under a prefix. 404: none. */
async function leases(client: VaultClient, call: Call, path: string): Promise<readonly string[]> {
  const answer = await client.request(call, 'LIST', path);
  if (answer.status === 404) return [];
  if (answer.status !== 200) throw unexpectedStatus('provider', `LIST ${path}`, answer);
  return (JSON.parse(answer.body) as { data: { keys: readonly string[] } }).data.keys;
}

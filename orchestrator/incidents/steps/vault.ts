import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import type { HttpAnswer } from '../../../core/http.ts';
import { Deadline } from '../../../core/retry.ts';
import { SecretValue } from '../../../core/secret.ts';
import { VaultClient } from '../../../core/vault/client.ts';
import { unexpectedStatus } from '../../../core/vault/troubles.ts';
import type { Outcome, Performing } from '../outcome.ts';
import type { CustomVault } from '../runbook-schema.ts';

/** Lets Vault do one thing about what it looks after itself. */
export async function atVault(
  { orchestrator }: Pick<Performing, 'orchestrator'>,
  spec: CustomVault,
): Promise<Outcome> {
  const { clock, random, log } = orchestrator;
  const call: Call = { deadline: Deadline.after(spec.timeout, clock), fence: 0n, clock, random, log };
  const client = new VaultClient(spec, 'provider');
  try {
    if (spec.revokePrefix !== undefined) return await revokeLeases(client, call, spec.revokePrefix);
    return await rotateRoot(client, call, spec.rotateRoot ?? '');
  } catch (thrown) {
    if (thrown instanceof RotorError && thrown.kind === 'terminal') return { failed: thrown.message };
    throw thrown;
  } finally {
    await client.close();
  }
}

/**
 * Revokes every lease under a prefix, such as the users that Vault made of one dynamic role, and waits until it has.
 * Repeated without harm: what was given out meanwhile is revoked too.
 * Source: Vault's page on the API of `/sys/leases`.
 */
async function revokeLeases(client: VaultClient, call: Call, prefix: string): Promise<Outcome> {
  const [revoke, lookup] = [`sys/leases/revoke-prefix/${prefix}`, `sys/leases/lookup/${prefix}/`];
  await assertMay(client, call, { [revoke]: ['update', 'sudo'], [lookup]: ['list', 'sudo'] });
  const before = await leases(client, call, lookup);
  const answer = await client.request(call, 'PUT', revoke, SecretValue.of('{"sync":true}'));
  if (answer.status === 400)
    throw new RotorError('provider.proof-failed', {
      what: `Vault could not revoke all of ${prefix} (400): the database refuses, or is away`,
      hint: "Look into Vault's log, and at `revocation_statements` of the role.",
      kind: 'retryable',
    });
  assertDone(answer, `PUT ${revoke}`);
  const after = new Set(await leases(client, call, lookup));
  const left = before.filter((lease) => after.has(lease)).length;
  if (left === 0) return { done: { prefix, revoked: before.length, since: after.size } };
  throw new RotorError('provider.proof-failed', {
    what: `Vault says that it revoked ${prefix}, and still holds ${left} leases of before`,
    kind: 'retryable',
  });
}

/**
 * Gives the user of a database connection a password that only Vault knows, and has Vault log in by it. Repeated, it gets
 * yet another one.
 * Source: Vault's page on the API of the database secrets engine.
 * @param place mount and name of the connection
 */
async function rotateRoot(client: VaultClient, call: Call, place: string): Promise<Outcome> {
  const cut = place.lastIndexOf('/');
  const [mount, connection] = [place.slice(0, cut), place.slice(cut + 1)];
  const [rotate, reset] = [`${mount}/rotate-root/${connection}`, `${mount}/reset/${connection}`];
  await assertMay(client, call, { [rotate]: ['update'], [reset]: ['update'] });
  assertDone(await client.request(call, 'POST', rotate, SecretValue.of('{}')), `POST ${rotate}`);
  assertDone(await client.request(call, 'POST', reset, SecretValue.of('{}')), `POST ${reset}`);
  return { done: { connection: place, loggedIn: true } };
}

function assertDone(answer: HttpAnswer, doing: string): void {
  if (answer.status !== 200 && answer.status !== 204) throw unexpectedStatus('provider', doing, answer);
}

async function assertMay(
  client: VaultClient,
  call: Call,
  needed: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const missing = await client.missing(call, needed);
  if (missing.length === 0) return;
  throw new RotorError('provider.permission-denied', {
    what: `the policy of the token in Vault lacks ${missing.join('; ')}`,
    hint: 'docs/vault.md has what it needs.',
  });
}

/** Ids of the leases right under a prefix. 404: none. */
async function leases(client: VaultClient, call: Call, path: string): Promise<readonly string[]> {
  const answer = await client.request(call, 'LIST', path);
  if (answer.status === 404) return [];
  assertDone(answer, `LIST ${path}`);
  return (JSON.parse(answer.body) as { data: { keys: readonly string[] } }).data.keys;
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshLedger, type TestLedger } from '../test/setup/ledger.ts';
import { type LookedFor, matchCredentials } from './matching.ts';
import { applyPolicy } from './policies.ts';

const NOTHING: LookedFor = {
  fingerprints: [],
  identities: [],
  secretNames: [],
  storePaths: [],
  policies: [],
};

let fresh: TestLedger;
beforeAll(async () => {
  fresh = await freshLedger();
});
afterAll(() => fresh.drop());

async function aPolicy(name: string, states: readonly string[]): Promise<readonly string[]> {
  const spec = { deliver: [], consumers: [], store: { path: `shop/${name}` } };
  const { uid } = await applyPolicy(fresh.ledger, { uid: randomUUID(), namespace: 'shop', name, spec });
  const ids: string[] = [];
  for (const state of states) {
    const id = randomUUID();
    ids.push(id);
    await fresh.ledger.query(
      'INSERT INTO rotor.credential_versions (id, policy_uid, state, identity) VALUES ($1, $2, $3, $4)',
      [id, uid, state, name],
    );
  }
  return ids;
}

test('who names a policy means the version that is in use', async () => {
  const [, , current] = await aPolicy('orders', ['revoked', 'previous', 'current', 'pending']);
  expect(await matchCredentials(fresh.ledger, { ...NOTHING, policies: ['shop/orders'] })).toMatchObject([
    { policy: 'shop/orders', matchedBy: 'policy', version: { id: current, state: 'current' } },
  ]);
});

test('of a policy that was never rotated no version is known', async () => {
  await aPolicy('fresh', []);
  const [match] = await matchCredentials(fresh.ledger, { ...NOTHING, policies: ['shop/fresh'] });
  expect(match).toMatchObject({ policy: 'shop/fresh' });
  expect(match?.version).toBeUndefined();
});

import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freshLedger, type TestLedger } from '../test/setup/ledger.ts';
import { addTargets } from './incident-targets.ts';
import { getIncident, openIncident } from './incidents.ts';
import { applyPolicy } from './policies.ts';

let test_: TestLedger;

beforeEach(async () => {
  test_ = await freshLedger();
});
afterEach(() => test_.drop());

test('when the successor of a contained version leaks too, it is what has to be contained', async () => {
  const { ledger } = test_;
  const { uid } = await applyPolicy(ledger, { uid: randomUUID(), namespace: 'shop', name: 'db', spec: {} });
  const [older, newer] = [randomUUID(), randomUUID()];
  for (const id of [older, newer])
    await ledger.query(
      `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity) VALUES ($1, $2, 'previous', 'app')`,
      [id, uid],
    );
  const id = randomUUID();
  await openIncident(ledger, { id, severity: 'high', openedBy: 'test' });
  const leaked = (versionId: string) =>
    addTargets(ledger, id, [
      {
        policyUid: uid,
        policy: 'shop/db',
        versionId,
        matchedBy: ['fingerprint'],
        answer: 'rotate',
        mode: 'revoke-first',
        revokeInMs: 0,
      },
    ]);
  const fence = async () =>
    (await ledger.query<{ fence: bigint }>('SELECT fence FROM rotor.incident_targets'))[0]?.fence ?? 0n;
  await leaked(older);
  await ledger.query('UPDATE rotor.incident_targets SET contained_at = clock_timestamp()');
  const before = await fence();

  await leaked(older);
  const same = (await getIncident(ledger, id)).targets[0];
  expect(same).toMatchObject({ versionId: older, containedAt: expect.any(Date) });
  expect(await fence()).toBe(before);

  await leaked(newer);
  const both = (await getIncident(ledger, id)).targets[0];
  expect(both).toMatchObject({ versionId: newer, containedAt: undefined });
  expect(await fence()).toBeGreaterThan(before);

  // The first again: what has to be contained stays the one that is in use.
  await leaked(older);
  expect((await getIncident(ledger, id)).targets[0]).toMatchObject({ versionId: newer });
});

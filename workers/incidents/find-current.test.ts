import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { watchCurrent } from '../../ledger/current-looks.ts';
import { matchCredentials } from '../../ledger/matching.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { findVersionsByFingerprint, listVersions, markCompromised } from '../../ledger/versions.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { aCall } from '../../test/setup/call.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import type { RotationSpec } from '../saga/spec.ts';
import { findCurrent } from './find-current.ts';

const KEY = SecretValue.of('fingerprint-key');
const registries = {
  rotators,
  stores: stores({ keyring: Keyring.generate() }),
  deliveries: [],
  rollouts: [],
};
let test_: TestLedger;
let folder: string;

beforeEach(async () => {
  test_ = await freshLedger();
  folder = await mkdtemp(join(tmpdir(), 'rotor-found-'));
});
afterEach(async () => {
  await test_.drop();
  await rm(folder, { recursive: true, force: true });
});

const deps = () => ({
  ledger: test_.ledger,
  registries,
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
  worker: 'test',
  fingerprintKey: KEY,
});

function specOf(path: string, initialFrom?: string): RotationSpec {
  return {
    rotator: { kind: 'random', credential: {} },
    store: { kind: 'local', spec: { path: join(folder, 'store') }, path },
    ...(initialFrom ? { initialFrom: { file: initialFrom } } : {}),
    deliver: [],
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
  };
}

/** A policy that nothing has rotated, to be looked at now. */
async function policy(initialFrom?: string) {
  const name = `p-${randomUUID().slice(0, 8)}`;
  const { uid } = await applyPolicy(test_.ledger, { uid: randomUUID(), namespace: 'shop', name, spec: {} });
  const spec = specOf(`shop/${name}`, initialFrom);
  await watchCurrent(test_.ledger, [{ policyUid: uid, spec }]);
  const store = registries.stores[0]?.open(spec.store.spec);
  if (!store) throw new Error('there is no store');
  const put = async (secret: string) => {
    const id = randomUUID();
    const before = await store.read(aCall(), spec.store.path, 'current');
    await store.stage(aCall(), spec.store.path, id, SecretValue.of(JSON.stringify({ value: secret })));
    await store.promote(aCall(), spec.store.path, id, before?.versionId);
    return id;
  };
  const again = () =>
    test_.ledger.query('UPDATE rotor.current_looks SET look_at = clock_timestamp() WHERE policy_uid = $1', [
      uid,
    ]);
  return { uid, name: `shop/${name}`, spec, put, store, again };
}

const print = (secret: string) => SecretValue.of(secret).fingerprint(KEY);
const found = (secret: string) => findVersionsByFingerprint(test_.ledger, print(secret));

test('what a store had before any rotation is known by its value, and the ledger has no plaintext of it', async () => {
  const { uid, name, put } = await policy();
  const id = await put('from-before-rotor');
  await findCurrent(deps());
  expect(await found('from-before-rotor')).toMatchObject([
    { id, policyUid: uid, state: 'current', found: true },
  ]);
  const looked = { identities: [], secretNames: [], storePaths: [], policies: [] };
  const fingerprints = [print('from-before-rotor').toString('hex')];
  expect(await matchCredentials(test_.ledger, { ...looked, fingerprints })).toMatchObject([
    { policy: name, version: { id, state: 'current' }, matchedBy: 'fingerprint' },
  ]);
  for (const table of ['credential_versions', 'current_looks', 'audit', 'policies'])
    expect(JSON.stringify(await test_.ledger.query(`SELECT t::text FROM rotor.${table} t`))).not.toContain(
      'from-before-rotor',
    );
  const audit = await test_.ledger.query(
    "SELECT actor, subject FROM rotor.audit WHERE action = 'credential.found'",
  );
  expect(audit).toEqual([{ actor: 'worker/test', subject: `credential/${id}` }]);
});

test('nothing is looked at before its time, and what is known is not read again', async () => {
  const { put, store, again } = await policy();
  await put('first');
  await findCurrent(deps());
  let read = 0;
  let listed = 0;
  const counting = registries.stores.map((each) => ({
    ...each,
    open: () => ({
      ...store,
      read: async () => {
        read += 1;
        return undefined;
      },
      list: async (...given: Parameters<typeof store.list>) => {
        listed += 1;
        return store.list(...given);
      },
      close: async () => undefined,
    }),
  })) as unknown as typeof registries.stores;
  const within = { ...deps(), registries: { ...registries, stores: counting } };
  await findCurrent(within);
  expect([listed, read]).toEqual([0, 0]);
  await again();
  await findCurrent(within);
  expect([listed, read]).toEqual([1, 0]);
});

test('what somebody puts into the store is found, and what it replaced is tried for real should it leak', async () => {
  const { put, again, uid, spec } = await policy();
  const first = await put('first');
  await findCurrent(deps());
  const second = await put('second');
  await again();
  await findCurrent(deps());
  expect(await found('second')).toMatchObject([{ id: second, state: 'current' }]);
  expect(await found('first')).toMatchObject([{ id: first, state: 'discarded' }]);

  // And put back.
  const store = registries.stores[0]?.open(spec.store.spec);
  await store?.promote(aCall(), spec.store.path, first, second);
  await again();
  await findCurrent(deps());
  expect(await found('first')).toMatchObject([{ id: first, state: 'current' }]);
  expect(await found('second')).toMatchObject([{ id: second, state: 'discarded' }]);
  expect(await listVersions(test_.ledger, uid)).toHaveLength(2);
});

test('a compromised version stays what it is', async () => {
  const { put, again } = await policy();
  const first = await put('first');
  await findCurrent(deps());
  await markCompromised(test_.ledger, [{ id: first, revokeInMs: 0 }]);
  await again();
  await findCurrent(deps());
  expect(await found('first')).toMatchObject([{ id: first, compromised: true, state: 'current' }]);
});

test('while a rotation is open it alone puts on record what is current', async () => {
  const { uid, put, spec } = await policy();
  await put('first');
  const by = { trigger: 'manual', requestedBy: 'test', deadlineMs: 60_000 } as const;
  await createRotation(test_.ledger, { id: randomUUID(), policyUid: uid, spec, ...by });
  await findCurrent(deps());
  expect(await found('first')).toEqual([]);
});

test('the credential that initialFrom names is known while the store is empty, once however often it is seen', async () => {
  const file = join(folder, 'initial.json');
  await writeFile(file, JSON.stringify({ value: 'initial' }));
  const { again } = await policy(file);
  await findCurrent(deps());
  const [one] = await found('initial');
  expect(one).toMatchObject({ state: 'current', found: true });
  await again();
  await findCurrent(deps());
  expect(await found('initial')).toHaveLength(1);
  await writeFile(file, JSON.stringify({ value: 'another' }));
  await again();
  await findCurrent(deps());
  expect(await found('initial')).toMatchObject([{ id: one?.id, state: 'discarded' }]);
  expect(await found('another')).toMatchObject([{ state: 'current' }]);
});

test('a look that fails is repeated later, and says why', async () => {
  const { put } = await policy(join(folder, 'not-there.json'));
  await findCurrent(deps());
  const [look] = await test_.ledger.query<{ problem: string; tries: number; later: boolean }>(
    'SELECT problem, tries, look_at > clock_timestamp() AS later FROM rotor.current_looks',
  );
  expect(look).toMatchObject({ tries: 1, later: true, problem: expect.stringContaining('not-there.json') });
  await put('first');
  await test_.ledger.query('UPDATE rotor.current_looks SET look_at = clock_timestamp()');
  await findCurrent(deps());
  expect(await found('first')).toHaveLength(1);
  expect(await test_.ledger.query('SELECT problem, tries FROM rotor.current_looks')).toEqual([
    { problem: null, tries: 0 },
  ]);
});

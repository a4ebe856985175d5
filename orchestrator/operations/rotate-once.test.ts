import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { recordTransition } from '../../ledger/journal.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { isAnswered } from '../../ledger/rotation-requests.ts';
import { claimRotation, listRotations } from '../../ledger/rotations.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { knownKinds } from '../cli/manifest-files.ts';
import { parseManifests } from '../manifests/parse.ts';
import { applyManifests } from './apply.ts';
import type { Orchestrator } from './orchestrator.ts';
import { rotateOnce } from './rotate.ts';

let fresh: TestLedger;
let orchestrator: Orchestrator;
const woken: string[] = [];

beforeAll(async () => {
  fresh = await freshLedger();
  orchestrator = {
    ledger: fresh.ledger,
    registries: knownKinds(),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('key'),
    localStore: { kind: 'local', spec: { path: '/nowhere' } },
    anchorFile: undefined,
    wakeIncident: async () => undefined,
    wake: async (id) => {
      woken.push(id);
    },
  };
});
afterAll(() => fresh.drop());

async function policy(): Promise<string> {
  const name = `p-${randomUUID()}`;
  const text = `{apiVersion: rotor.dev/v1alpha1, kind: RotationPolicy, metadata: {name: ${name}}, spec: {credential: {random: {}}, store: {path: x}}}`;
  await applyManifests(orchestrator, parseManifests(text, 'test', orchestrator.registries), 'test');
  return `default/${name}`;
}

async function end(id: string): Promise<void> {
  const claimed = await claimRotation(fresh.ledger, id, 'test', 10_000);
  if (!claimed) throw new Error('not claimed');
  await recordTransition(fresh.ledger, {
    rotationId: id,
    epoch: claimed.epoch,
    seq: 0,
    entries: [],
    state: 'rolled-back',
  });
}

test('a request that many make at once starts one rotation', async () => {
  const name = await policy();
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => rotateOnce(orchestrator, name, 'token', 'test')),
  );
  expect(answers.map(({ result }) => result).toSorted()).toEqual([...Array(7).fill('answered'), 'started']);
  const rotations = await listRotations(fresh.ledger, { policy: name });
  expect(rotations).toHaveLength(1);
  expect(woken.filter((id) => id === rotations[0]?.id)).toHaveLength(1);
});

test('a request is answered for good, also after its rotation has ended', async () => {
  const name = await policy();
  const first = await rotateOnce(orchestrator, name, 'token', 'test');
  if (first.result !== 'started') throw new Error(first.result);
  await end(first.rotation);
  expect(await rotateOnce(orchestrator, name, 'token', 'test')).toEqual({ result: 'answered' });
  expect(await rotateOnce(orchestrator, name, 'other', 'test')).toMatchObject({ result: 'started' });
});

test('a request that meets an open rotation is not forgotten', async () => {
  const name = await policy();
  const first = await rotateOnce(orchestrator, name, 'one', 'test');
  if (first.result !== 'started') throw new Error(first.result);
  expect(await rotateOnce(orchestrator, name, 'two', 'test')).toEqual({ result: 'busy' });
  const { uid } = await getPolicy(fresh.ledger, name);
  expect(await isAnswered(fresh.ledger, uid, 'two')).toBe(false);
  await end(first.rotation);
  expect(await rotateOnce(orchestrator, name, 'two', 'test')).toMatchObject({ result: 'started' });
  expect(await isAnswered(fresh.ledger, uid, 'two')).toBe(true);
});

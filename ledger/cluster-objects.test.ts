import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshLedger, queuedRotation, type TestLedger } from '../test/setup/ledger.ts';
import {
  type ClusterObjectRow,
  claimClusterObject,
  clusterNamespaces,
  listClusterObjects,
  releaseClusterObject,
} from './cluster-objects.ts';
import { lively, policyOutlooks } from './outlook.ts';
import { setDue } from './policies.ts';

let fresh: TestLedger;
beforeAll(async () => {
  fresh = await freshLedger();
});
afterAll(() => fresh.drop());

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds));
const row = (name: string, generation: number, uid = 'first', bornAt = at(0)): ClusterObjectRow => ({
  kind: 'RotationPolicy',
  namespace: 'shop',
  name,
  uid,
  bornAt,
  generation,
});

describe('a manifest from a cluster', () => {
  test.each<[string, ClusterObjectRow, boolean]>([
    ['the same generation again', row('', 5), true],
    ['a newer generation', row('', 6), true],
    ['an older generation', row('', 4), false],
    ['a younger object of that name', row('', 1, 'second', at(9)), true],
    ['an object that is deleted since long', row('', 9, 'zeroth', at(-9)), false],
  ])('may be applied as %s: %j is %s', async (name, next, allowed) => {
    expect(await claimClusterObject(fresh.ledger, row(name, 5))).toBe(true);
    expect(await claimClusterObject(fresh.ledger, { ...next, name })).toBe(allowed);
  });

  test('is forgotten only for the object that is gone', async () => {
    await claimClusterObject(fresh.ledger, row('forgotten', 1));
    expect(await releaseClusterObject(fresh.ledger, row('forgotten', 1, 'second'))).toBe(false);
    const known = async () => (await listClusterObjects(fresh.ledger, 'shop')).map(({ name }) => name);
    expect(await known()).toContain('forgotten');
    expect(await releaseClusterObject(fresh.ledger, row('forgotten', 1))).toBe(true);
    expect(await known()).not.toContain('forgotten');
    expect(await clusterNamespaces(fresh.ledger)).toEqual(['shop']);
  });
});

describe('the outlook of policies', () => {
  test('tells a policy and its latest rotations in one look', async () => {
    const { id, policyUid } = await queuedRotation(fresh.ledger);
    const outlook = (await policyOutlooks(fresh.ledger, 'test')).find(({ uid }) => uid === policyUid);
    expect(outlook).toMatchObject({
      spec: {},
      paused: false,
      replanning: true,
      currentVersion: undefined,
      rotations: [{ id, state: 'queued', trigger: 'manual', requestedBy: 'test', endedAt: undefined }],
    });
    expect(outlook?.rotations[0]?.createdAt).toBeInstanceOf(Date);
    expect(await policyOutlooks(fresh.ledger, 'test', [])).toEqual([]);
  });

  test('is marked differently when something has changed, and the same when nothing has', async () => {
    const { policyUid } = await queuedRotation(fresh.ledger);
    const [{ namespace = '', name = '' } = {}] = (await policyOutlooks(fresh.ledger, 'test')).filter(
      ({ uid }) => uid === policyUid,
    );
    const mark = async () => (await lively(fresh.ledger)).get(`${namespace}/${name}`);
    const first = await mark();
    expect(first).toContain('queued');
    expect(await mark()).toBe(first);
    await setDue(fresh.ledger, policyUid, at(5), 'because');
    expect(await mark()).not.toBe(first);
    expect((await lively(fresh.ledger)).has(`test/${randomUUID()}`)).toBe(false);
  });
});

import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, useCluster } from './cluster.ts';

const MERGE = 'application/merge-patch+json';

let cluster: Cluster;
let base: string;

beforeAll(async () => {
  cluster = await useCluster();
  base = `/api/v1/namespaces/${await cluster.namespace()}`;
});

const isGone = async (path: string): Promise<boolean> => {
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await cluster.call('GET', path)).status === 404) return true;
    await delay(200);
  }
  return false;
};

describe('deleting an object', () => {
  it('answers with what is gone', async () => {
    const { body: made } = await cluster.call('POST', `${base}/configmaps`, {
      body: { metadata: { name: 'gone' } },
    });
    const { body } = await cluster.call('DELETE', `${base}/configmaps/gone`);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'gone', kind: 'configmaps', uid: made.metadata.uid },
    });
  });

  it('waits for its finalizers, and lets no new one in', async () => {
    const path = `${base}/configmaps/held`;
    const finalizers = ['rotor.test/hold'];
    await cluster.call('POST', `${base}/configmaps`, { body: { metadata: { name: 'held', finalizers } } });
    const { body } = await cluster.call('DELETE', path);
    expect(body.metadata.deletionTimestamp).toBeDefined();
    const more = { metadata: { finalizers: [...finalizers, 'rotor.test/more'] } };
    const refused = await cluster.call('PATCH', path, { body: more, type: MERGE });
    expect(refused.body.message).toContain('no new finalizers can be added if the object is being deleted');
    expect((await cluster.call('GET', path)).status).toBe(200);
    await cluster.call('PATCH', path, { body: { metadata: { finalizers: [] } }, type: MERGE });
    expect((await cluster.call('GET', path)).status).toBe(404);
  });

  it('can be bound to the object that was read', async () => {
    await cluster.call('POST', `${base}/configmaps`, { body: { metadata: { name: 'bound' } } });
    const body = { preconditions: { uid: 'another' } };
    const refused = await cluster.call('DELETE', `${base}/configmaps/bound`, { body });
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain(
      'the UID in the precondition (another) does not match the UID in record',
    );
  });
});

describe('deleting a pod', () => {
  const pod = (name: string, nodeName: string | undefined) => ({
    metadata: { name, labels: { app: name } },
    spec: { containers: [{ name: 'app', image: 'app:1' }], ...(nodeName === undefined ? {} : { nodeName }) },
  });

  it('that has no node is done at once', async () => {
    await cluster.call('POST', `${base}/pods`, { body: pod('nowhere', undefined) });
    await cluster.call('DELETE', `${base}/pods/nowhere`);
    expect((await cluster.call('GET', `${base}/pods/nowhere`)).status).toBe(404);
  });

  it('that has a node gives it its grace, until the kubelet deletes it with none', async () => {
    const path = `${base}/pods/somewhere`;
    await cluster.call('POST', `${base}/pods`, { body: pod('somewhere', 'no-such-node') });
    const { body } = await cluster.call('DELETE', path);
    expect(body.metadata.deletionGracePeriodSeconds).toBe(30);
    const left = Date.parse(body.metadata.deletionTimestamp) - Date.now();
    expect(left).toBeGreaterThan(20_000);
    expect((await cluster.call('GET', path)).status).toBe(200);
    await cluster.call('DELETE', path, { body: { gracePeriodSeconds: 0 } });
    expect((await cluster.call('GET', path)).status).toBe(404);
  });

  it('by eviction waits for a budget that allows it', async () => {
    const budgets = base.replace('/api/v1', '/apis/policy/v1');
    await cluster.call('POST', `${base}/pods`, { body: pod('guarded', 'no-such-node') });
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    await cluster.call('PATCH', `${base}/pods/guarded/status`, { body: { status }, type: MERGE });
    await cluster.call('POST', `${budgets}/poddisruptionbudgets`, {
      body: {
        metadata: { name: 'guard' },
        spec: { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } },
      },
    });
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'guarded' } };
    const refused = await cluster.call('POST', `${base}/pods/guarded/eviction`, { body });
    expect(refused.body).toMatchObject({
      code: 429,
      reason: 'TooManyRequests',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: { causes: [{ reason: 'DisruptionBudget' }] },
    });
    await cluster.call('DELETE', `${budgets}/poddisruptionbudgets/guard`);
    expect((await cluster.call('POST', `${base}/pods/guarded/eviction`, { body })).status).toBe(201);
    await cluster.call('DELETE', `${base}/pods/guarded`, { body: { gracePeriodSeconds: 0 } });
  });
});

describe('deleting an owner', () => {
  const pair = async (name: string): Promise<void> => {
    const { body: owner } = await cluster.call('POST', `${base}/configmaps`, {
      body: { metadata: { name } },
    });
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name, uid: owner.metadata.uid };
    const metadata = { name: `${name}-owned`, ownerReferences: [{ ...reference, blockOwnerDeletion: true }] };
    await cluster.call('POST', `${base}/secrets`, { body: { metadata } });
    // The real collector learns of an object a moment after it is made.
    if (!cluster.sandbox) await delay(1000);
  };

  it('in the background takes what it owns with it, later', async () => {
    await pair('back');
    await cluster.call('DELETE', `${base}/configmaps/back`, { body: { propagationPolicy: 'Background' } });
    expect((await cluster.call('GET', `${base}/configmaps/back`)).status).toBe(404);
    expect(await isGone(`${base}/secrets/back-owned`)).toBe(true);
  });

  it('in the foreground takes what it owns first', async () => {
    await pair('fore');
    const { body } = await cluster.call('DELETE', `${base}/configmaps/fore`, {
      body: { propagationPolicy: 'Foreground' },
    });
    expect(body.metadata.finalizers).toEqual(['foregroundDeletion']);
    expect(await isGone(`${base}/configmaps/fore`)).toBe(true);
    expect((await cluster.call('GET', `${base}/secrets/fore-owned`)).status).toBe(404);
  });

  it('takes with it what is made in its name afterwards', async () => {
    const { body: owner } = await cluster.call('POST', `${base}/configmaps`, {
      body: { metadata: { name: 'early' } },
    });
    await cluster.call('DELETE', `${base}/configmaps/early`);
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'early', uid: owner.metadata.uid };
    const metadata = { name: 'early-owned', ownerReferences: [reference] };
    await cluster.call('POST', `${base}/secrets`, { body: { metadata } });
    expect(await isGone(`${base}/secrets/early-owned`)).toBe(true);
  });

  it('as an orphan maker leaves what it owned, without an owner', async () => {
    await pair('alone');
    await cluster.call('DELETE', `${base}/configmaps/alone`, { body: { propagationPolicy: 'Orphan' } });
    expect(await isGone(`${base}/configmaps/alone`)).toBe(true);
    const { body } = await cluster.call('GET', `${base}/secrets/alone-owned`);
    expect(body.metadata.ownerReferences).toBeUndefined();
  });
});

it('deleting a namespace takes all that is in it, and nothing new is let in', async () => {
  const namespace = await cluster.namespace();
  const path = `/api/v1/namespaces/${namespace}`;
  const finalizers = ['rotor.test/hold'];
  await cluster.call('POST', `${path}/configmaps`, { body: { metadata: { name: 'held', finalizers } } });
  await cluster.call('POST', `${path}/secrets`, { body: { metadata: { name: 'gone' } } });
  const { body } = await cluster.call('DELETE', path);
  expect(body.status.phase).toBe('Terminating');
  expect(await isGone(`${path}/secrets/gone`)).toBe(true);
  const late = await cluster.call('POST', `${path}/secrets`, { body: { metadata: { name: 'late' } } });
  expect(late.body.message).toBe(
    `secrets "late" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  expect((await cluster.call('GET', path)).status).toBe(200);
  await cluster.call('PATCH', `${path}/configmaps/held`, {
    body: { metadata: { finalizers: [] } },
    type: MERGE,
  });
  expect(await isGone(path)).toBe(true);
});

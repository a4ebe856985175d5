import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, useCluster } from './cluster.ts';

let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  cluster = await useCluster();
  namespace = await cluster.namespace();
});

const secretOf = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  data: { password: Buffer.from('one').toString('base64') },
  ...more,
});

describe('an object', () => {
  it('gets a uid, a creation time and a version, and is found again', async () => {
    const made = await cluster.core.createNamespacedSecret({ namespace, body: secretOf('found') });
    expect(made.metadata?.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
    const read = await cluster.core.readNamespacedSecret({ namespace, name: 'found' });
    expect(read.metadata?.resourceVersion).toBe(made.metadata?.resourceVersion);
    expect(read.data).toEqual(made.data);
  });

  it('exists once: a second creation is AlreadyExists', async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets`;
    await cluster.call('POST', path, { body: secretOf('twice') });
    const again = await cluster.call('POST', path, { body: secretOf('twice') });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      message: 'secrets "twice" already exists',
      reason: 'AlreadyExists',
      details: { name: 'twice', kind: 'secrets' },
      code: 409,
    });
  });

  it('that is not there is NotFound, named with its group', async () => {
    const secret = await cluster.call('GET', `/api/v1/namespaces/${namespace}/secrets/none`);
    expect(secret.body).toMatchObject({ code: 404, reason: 'NotFound', message: 'secrets "none" not found' });
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/none`;
    const deployment = await cluster.call('GET', path);
    expect(deployment.body).toMatchObject({
      message: 'deployments.apps "none" not found',
      details: { name: 'none', group: 'apps', kind: 'deployments' },
    });
  });

  it('is refused with Conflict when the sent version is stale', async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets`;
    const { body: first } = await cluster.call('POST', path, { body: secretOf('stale') });
    await cluster.call('PUT', `${path}/stale`, { body: { ...first, data: { password: 'dHdv' } } });
    const late = await cluster.call('PUT', `${path}/stale`, {
      body: { ...first, data: { password: 'dGhyZWU=' } },
    });
    expect(late.body).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on secrets "stale": the object has been modified; please apply your changes to the latest version and try again',
    });
  });

  it('keeps its version when a write changes nothing', async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets`;
    const { body: first } = await cluster.call('POST', path, { body: secretOf('same') });
    const { body: second } = await cluster.call('PUT', `${path}/same`, { body: first });
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it('gets a name of its own from generateName', async () => {
    const body = { ...secretOf('x'), metadata: { generateName: 'made-' } };
    const made = await cluster.core.createNamespacedSecret({ namespace, body });
    expect(made.metadata?.name).toMatch(/^made-[a-z0-9]{5}$/);
  });
});

describe('a watch', () => {
  it('tells what has happened since a version', async () => {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const { body: list } = await cluster.call('GET', path);
    const body = { metadata: { name: 'watched' }, data: { a: '1' } };
    await cluster.call('POST', path, { body });
    await cluster.call('PUT', `${path}/watched`, { body: { ...body, data: { a: '2' } } });
    await cluster.call('DELETE', `${path}/watched`);
    const since = list.metadata.resourceVersion;
    const events = await cluster.call('GET', `${path}?watch=1&timeoutSeconds=1&resourceVersion=${since}`);
    expect(events.body.map((event: { type: string }) => event.type)).toEqual([
      'ADDED',
      'MODIFIED',
      'DELETED',
    ]);
  });
});

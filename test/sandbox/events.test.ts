import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, useCluster } from './cluster.ts';

let cluster: Cluster;
let namespace: string;
let path: string;

const about = (name: string, uid: string, more: object = {}) => ({
  apiVersion: 'example.org/v1',
  kind: 'Widget',
  namespace,
  name,
  uid,
  ...more,
});
const event = (name: string, involvedObject: object, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name },
  involvedObject,
  type: 'Normal',
  reason: 'Turned',
  message: 'it turned',
  source: { component: 'test' },
  reportingComponent: 'example.org/test',
  firstTimestamp: '2026-01-01T00:00:00Z',
  lastTimestamp: '2026-01-01T00:00:00Z',
  count: 1,
  ...more,
});

beforeAll(async () => {
  cluster = await useCluster();
  namespace = await cluster.namespace();
  path = `/api/v1/namespaces/${namespace}/events`;
  const objects = [
    event('a.1', about('a', 'u-1')),
    event('a.2', about('a', 'u-2'), { type: 'Warning', reason: 'Stuck' }),
    event('b.1', about('b', 'u-3', { kind: 'Gadget', fieldPath: 'spec.x' })),
  ];
  for (const body of objects) expect((await cluster.call('POST', path, { body })).status).toBe(201);
});

describe('Events', () => {
  it.each([
    ['involvedObject.name=a', ['a.1', 'a.2']],
    ['involvedObject.name=a,involvedObject.uid=u-2', ['a.2']],
    ['involvedObject.kind=Gadget', ['b.1']],
    ['involvedObject.kind!=Gadget,involvedObject.apiVersion=example.org/v1', ['a.1', 'a.2']],
    ['involvedObject.fieldPath=spec.x', ['b.1']],
    ['involvedObject.namespace=elsewhere', []],
    ['type=Warning', ['a.2']],
    ['reason=Turned,source=test', ['a.1', 'b.1']],
    ['reportingComponent=example.org/test,involvedObject.name=b', ['b.1']],
  ])('are selected as kubectl describe does: %s', async (selector, expected) => {
    const { status, body } = await cluster.call(
      'GET',
      `${path}?fieldSelector=${encodeURIComponent(selector)}`,
    );
    expect(status).toBe(200);
    const names = body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
    expect(names.sort()).toEqual(expected);
  });

  it('can not be made twice under one name', async () => {
    const { status, body } = await cluster.call('POST', path, { body: event('a.1', about('a', 'u-1')) });
    expect([status, body.reason]).toEqual([409, 'AlreadyExists']);
  });

  it('must be in the namespace of their object', async () => {
    const stray = event('stray', { ...about('a', 'u-1'), namespace: 'elsewhere' });
    const { status, body } = await cluster.call('POST', path, { body: stray });
    expect(status).toBe(422);
    expect(body.message).toContain('involvedObject.namespace');
  });

  it('are the same in both of their API groups', async () => {
    const other = `/apis/events.k8s.io/v1/namespaces/${namespace}/events/a.2`;
    const { body } = await cluster.call('GET', other);
    expect(body).toMatchObject({ regarding: { name: 'a' }, note: 'it turned', reason: 'Stuck' });
  });
});

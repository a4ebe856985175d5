import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Cluster, useCluster } from './cluster.ts';

const STRATEGIC = 'application/strategic-merge-patch+json';

let cluster: Cluster;
let deployments: string;

beforeAll(async () => {
  cluster = await useCluster();
  deployments = `/apis/apps/v1/namespaces/${await cluster.namespace()}/deployments`;
});

const deployment = (name: string, container: object = {}) => ({
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'app', image: 'app:1', ...container }] },
    },
  },
});
const make = (name: string, container?: object) =>
  cluster.call('POST', deployments, { body: deployment(name, container) });
const patch = (name: string, body: unknown, type = STRATEGIC): Promise<Answer> =>
  cluster.call('PATCH', `${deployments}/${name}`, { body, type });
const podPatch = (spec: object) => ({ spec: { template: { spec } } });

describe('a strategic merge patch', () => {
  it('merges containers and variables by name', async () => {
    await make('merged', { env: [{ name: 'A', value: '1' }] });
    const { body } = await patch(
      'merged',
      podPatch({
        containers: [
          { name: 'app', env: [{ name: 'B', value: '2' }] },
          { name: 'side', image: 'side:1' },
        ],
      }),
    );
    const [app, side] = body.spec.template.spec.containers.sort((a: { name: string }) =>
      a.name === 'app' ? -1 : 1,
    );
    expect(app.image).toBe('app:1');
    expect(app.env.map((variable: { name: string }) => variable.name).sort()).toEqual(['A', 'B']);
    expect(side).toMatchObject({ name: 'side', imagePullPolicy: 'IfNotPresent' });
  });

  it('takes items away by $patch: delete', async () => {
    await make('less', { env: [{ name: 'A', value: '1' }] });
    const gone = { name: 'A', $patch: 'delete' };
    const { body } = await patch('less', podPatch({ containers: [{ name: 'app', env: [gone] }] }));
    expect(body.spec.template.spec.containers[0].env).toBeUndefined();
  });

  it('replaces tolerations as a whole', async () => {
    await make('tolerant');
    await patch('tolerant', podPatch({ tolerations: [{ key: 'a', operator: 'Exists' }] }));
    const { body } = await patch('tolerant', podPatch({ tolerations: [{ key: 'b', operator: 'Exists' }] }));
    expect(body.spec.template.spec.tolerations).toEqual([{ key: 'b', operator: 'Exists' }]);
  });
});

describe('a deployment', () => {
  it('gets the defaults that controllers rely on', async () => {
    const { body } = await make('plain', { readinessProbe: { httpGet: { port: 80 } } });
    expect(body.spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
    });
    const { spec } = body.spec.template;
    expect(spec).toMatchObject({ restartPolicy: 'Always', terminationGracePeriodSeconds: 30 });
    expect(spec.containers[0].readinessProbe).toMatchObject({ periodSeconds: 10, failureThreshold: 3 });
  });

  it('counts changes of its spec, and of nothing in status', async () => {
    const { body: made } = await make('counted');
    expect(made.metadata.generation).toBe(1);
    const labelled = await patch('counted', { metadata: { labels: { a: 'b' } } });
    expect(labelled.body.metadata.generation).toBe(1);
    const scaled = await patch('counted', { spec: { replicas: 2 } });
    expect(scaled.body.metadata.generation).toBe(2);
    const body = { status: { replicas: 2, observedGeneration: 2 }, spec: { replicas: 9 } };
    const told = await cluster.call('PATCH', `${deployments}/counted/status`, { body, type: STRATEGIC });
    expect(told.body.metadata.generation).toBe(2);
    expect(told.body.spec.replicas).toBe(2);
    expect(told.body.status).toMatchObject({ replicas: 2, observedGeneration: 2 });
  });

  it('keeps its selector, which has to match its pods', async () => {
    await make('selecting');
    const moved = await patch('selecting', { spec: { selector: { matchLabels: { app: 'x' } } } });
    expect(moved.status).toBe(422);
    expect(moved.body.message).toContain('spec.selector: Invalid value:');
    expect(moved.body.message).toContain('field is immutable');
    const body = deployment('other');
    const wrong = { ...body, spec: { ...body.spec, selector: { matchLabels: { app: 'y' } } } };
    const refused = await cluster.call('POST', deployments, { body: wrong });
    expect(refused.body.message).toBe(
      'Deployment.apps "other" is invalid: spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`',
    );
  });

  it('is scaled through its scale, on which the version is checked', async () => {
    await make('scaled');
    const { body: scale } = await cluster.call('GET', `${deployments}/scaled/scale`);
    expect(scale).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 1 } });
    expect(scale.status.selector).toBe('app=scaled');
    const body = { ...scale, spec: { replicas: 4 } };
    expect((await cluster.call('PUT', `${deployments}/scaled/scale`, { body })).body.spec.replicas).toBe(4);
    expect((await cluster.call('PUT', `${deployments}/scaled/scale`, { body })).status).toBe(409);
  });
});

describe('a JSON patch', () => {
  it('is done as a whole or not at all', async () => {
    await make('whole');
    const operations = [
      { op: 'replace', path: '/spec/replicas', value: 5 },
      { op: 'test', path: '/metadata/name', value: 'other' },
    ];
    const refused = await patch('whole', operations, 'application/json-patch+json');
    expect(refused.status).toBe(422);
    expect((await cluster.call('GET', `${deployments}/whole`)).body.spec.replicas).toBe(1);
    const done = await patch('whole', operations.slice(0, 1), 'application/json-patch+json');
    expect(done.body.spec.replicas).toBe(5);
  });

  it('of a form that is not known is refused with 415', async () => {
    await make('formless');
    expect((await patch('formless', 'x', 'text/plain')).status).toBe(415);
  });
});

it('a write that is only tried leaves no trace', async () => {
  const tried = await cluster.call('POST', `${deployments}?dryRun=All`, { body: deployment('tried') });
  expect(tried.status).toBe(201);
  expect(tried.body.spec.replicas).toBe(1);
  expect((await cluster.call('GET', `${deployments}/tried`)).status).toBe(404);
});

import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Cluster, useCluster } from './cluster.ts';

let cluster: Cluster;
let path: string;

beforeAll(async () => {
  cluster = await useCluster();
  path = `/api/v1/namespaces/${await cluster.namespace()}/secrets`;
});

const secret = (name: string, data: Record<string, string> | undefined, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, ...more },
  ...(data === undefined ? {} : { data }),
});

const apply = (manager: string, body: ReturnType<typeof secret>, query = ''): Promise<Answer> =>
  cluster.call('PATCH', `${path}/${body.metadata.name}?fieldManager=${manager}${query}`, {
    body,
    type: 'application/apply-patch+yaml',
  });

const fieldsOf = (answer: Answer, manager: string) =>
  answer.body.metadata.managedFields?.find((entry: { manager: string }) => entry.manager === manager)
    ?.fieldsV1;

describe('server-side apply', () => {
  it('makes the object, and owns exactly what it names', async () => {
    const made = await apply('one', secret('made', { a: 'YQ==' }, { labels: { x: 'y' } }));
    expect(made.status).toBe(201);
    expect(fieldsOf(made, 'one')).toEqual({
      'f:data': { 'f:a': {} },
      'f:metadata': { 'f:labels': { 'f:x': {} } },
    });
  });

  it('refuses to change what another manager owns, in words that name both', async () => {
    await apply('one', secret('fought', { password: 'YQ==' }));
    const refused = await apply('two', secret('fought', { password: 'Yg==' }));
    expect(refused.body).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "one": .data.password',
      details: {
        causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.password' }],
      },
    });
  });

  it('counts the conflicts with a writer that did not apply', async () => {
    const body = secret('written', { a: 'YQ==', b: 'YQ==' });
    await cluster.call('POST', `${path}?fieldManager=writer`, { body });
    const refused = await apply('one', secret('written', { a: 'Yg==', b: 'Yg==' }));
    expect(refused.body.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "writer" using v1:\n- .data.a\n- .data.b',
    );
  });

  it('takes ownership by force, and from then on the other may not change it', async () => {
    await apply('one', secret('forced', { password: 'YQ==' }));
    const forced = await apply('two', secret('forced', { password: 'Yg==' }), '&force=true');
    expect(forced.body.data.password).toBe('Yg==');
    expect(fieldsOf(forced, 'one')).toBeUndefined();
    expect(fieldsOf(forced, 'two')).toEqual({ 'f:data': { 'f:password': {} } });
  });

  it('shares what both want alike, and removes a field when the last owner lets it go', async () => {
    await apply('one', secret('shared', { a: 'YQ==', b: 'YQ==' }));
    await apply('two', secret('shared', { a: 'YQ==' }));
    const first = await apply('one', secret('shared', undefined));
    expect(first.body.data).toEqual({ a: 'YQ==' });
    const second = await apply('two', secret('shared', undefined));
    expect(second.body.data).toBeUndefined();
  });

  it('leaves what it never applied', async () => {
    await cluster.call('POST', path, { body: secret('kept', { old: 'YQ==' }) });
    const applied = await apply('one', secret('kept', { mine: 'YQ==' }));
    expect(applied.body.data).toEqual({ old: 'YQ==', mine: 'YQ==' });
  });

  it('changes nothing when it is repeated', async () => {
    const first = await apply('one', secret('again', { a: 'YQ==' }));
    const second = await apply('one', secret('again', { a: 'YQ==' }));
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });

  it('keeps containers apart by their names', async () => {
    const deployments = path.replace('/api/v1', '/apis/apps/v1').replace('/secrets', '/deployments');
    const body = (containers: object[]) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers } },
      },
    });
    const send = (manager: string, containers: object[]) =>
      cluster.call('PATCH', `${deployments}/web?fieldManager=${manager}`, {
        body: body(containers),
        type: 'application/apply-patch+yaml',
      });
    await send('one', [{ name: 'app', image: 'app:1' }]);
    const both = await send('two', [{ name: 'side', image: 'side:1' }]);
    const names = (answer: Answer) =>
      answer.body.spec.template.spec.containers.map((container: { name: string }) => container.name);
    expect(names(both).sort()).toEqual(['app', 'side']);
    const refused = await send('two', [{ name: 'app', image: 'app:2' }]);
    expect(refused.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "one": .spec.template.spec.containers[name="app"].image',
    );
    const less = await send('two', [{ name: 'app', image: 'app:1' }]);
    expect(names(less)).toEqual(['app']);
  });

  it('records ordinary writers with what they changed', async () => {
    await cluster.call('POST', `${path}?fieldManager=maker`, { body: secret('told', { a: 'YQ==' }) });
    const patched = await cluster.call('PATCH', `${path}/told?fieldManager=patcher`, {
      body: { data: { b: 'Yg==' } },
      type: 'application/merge-patch+json',
    });
    expect(fieldsOf(patched, 'maker')).toEqual({ 'f:data': { '.': {}, 'f:a': {} }, 'f:type': {} });
    expect(fieldsOf(patched, 'patcher')).toEqual({ 'f:data': { 'f:b': {} } });
  });
});

it('names the fields of several managers one by one', async () => {
  await apply('one', secret('many', { a: 'YQ==' }));
  await apply('two', secret('many', { b: 'YQ==' }));
  const refused = await apply('three', secret('many', { a: 'Yg==', b: 'Yg==' }));
  expect(refused.body.message).toBe(
    'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\nconflicts with "two":\n- .data.b',
  );
});

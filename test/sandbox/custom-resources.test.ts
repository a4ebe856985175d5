import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Cluster, useCluster } from './cluster.ts';

const MERGE = 'application/merge-patch+json';
const group = `t${randomBytes(4).toString('hex')}.rotor.test`;
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const spec = {
  type: 'object',
  required: ['mode'],
  'x-kubernetes-validations': [
    { rule: 'self.size <= 10 || self.mode == "big"', message: 'too big for its mode' },
  ],
  properties: {
    mode: { type: 'string', enum: ['big', 'small'] },
    size: { type: 'integer', minimum: 1, default: 3 },
    name: { type: 'string', pattern: '^[a-z]+$' },
    id: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'id is fixed' }] },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    steps: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, value: { type: 'integer' } },
      },
    },
  },
};

const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `widgets.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec,
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

let cluster: Cluster;
let path: string;

beforeAll(async () => {
  cluster = await useCluster();
  path = `/apis/${group}/v1/namespaces/${await cluster.namespace()}/widgets`;
  await cluster.call('POST', definitions, { body: definition });
  cluster.cleanUp(`${definitions}/widgets.${group}`);
  for (let tries = 0; tries < 50 && (await cluster.call('GET', path)).status !== 200; tries += 1)
    await delay(200);
});

const widget = (name: string, more: object) => ({
  apiVersion: `${group}/v1`,
  kind: 'Widget',
  metadata: { name },
  spec: more,
});
const post = (name: string, more: object): Promise<Answer> =>
  cluster.call('POST', path, { body: widget(name, more) });
const patch = (name: string, body: object, sub = ''): Promise<Answer> =>
  cluster.call('PATCH', `${path}/${name}${sub}`, { body, type: MERGE });

describe('a definition', () => {
  it('becomes Established, with its names accepted', async () => {
    const { body } = await cluster.call('GET', `${definitions}/widgets.${group}`);
    const conditions = body.status.conditions.map((item: { type: string; status: string }) => [
      item.type,
      item.status,
    ]);
    expect(conditions).toEqual(
      expect.arrayContaining([
        ['NamesAccepted', 'True'],
        ['Established', 'True'],
      ]),
    );
    expect(body.status.acceptedNames).toMatchObject({
      kind: 'Widget',
      listKind: 'WidgetList',
      singular: 'widget',
    });
  });

  it('is found by discovery', async () => {
    const { body } = await cluster.call('GET', `/apis/${group}/v1`);
    expect(body.resources.map((item: { name: string }) => item.name).sort()).toEqual([
      'widgets',
      'widgets/status',
    ]);
  });
});

describe('a custom object', () => {
  it('is pruned to its schema and gets its defaults', async () => {
    const { body } = await post('pruned', { mode: 'small', unknown: 1, free: { any: { thing: 1 } } });
    expect(body.spec).toEqual({ mode: 'small', size: 3, free: { any: { thing: 1 } } });
    expect(body.metadata.generation).toBe(1);
  });

  it('is refused with every field that breaks the schema', async () => {
    const { status, body } = await post('broken', { size: 0, name: 'A' });
    expect(status).toBe(422);
    const messages = body.details.causes.map(
      (cause: { field: string; message: string }) => `${cause.field}: ${cause.message}`,
    );
    expect(messages).toEqual(
      expect.arrayContaining([
        'spec.mode: Required value',
        'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
        'spec.name: Invalid value: "A": spec.name in body should match \'^[a-z]+$\'',
      ]),
    );
  });

  it('is refused for a wrong type and for a value that is not among the allowed', async () => {
    const typed = await post('typed', { mode: 'big', size: 'x' });
    expect(typed.body.message).toContain(
      'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
    );
    const odd = await post('odd', { mode: 'tiny' });
    expect(odd.body.message).toContain(
      'spec.mode: Unsupported value: "tiny": supported values: "big", "small"',
    );
  });

  it('obeys the rules of its definition', async () => {
    const big = await post('big', { mode: 'small', size: 20 });
    expect(big.body.message).toBe(
      `Widget.${group} "big" is invalid: spec: Invalid value: too big for its mode`,
    );
    await post('fixed', { mode: 'small', id: 'a' });
    const moved = await patch('fixed', { spec: { id: 'b' } });
    expect(moved.body.message).toBe(
      `Widget.${group} "fixed" is invalid: spec.id: Invalid value: "b": id is fixed`,
    );
    expect((await patch('fixed', { spec: { size: 4 } })).status).toBe(200);
  });

  it('has a status that only its subresource writes, and that does not count as a change', async () => {
    await post('told', { mode: 'small' });
    const main = await patch('told', { status: { phase: 'x' } });
    expect(main.body.status).toBeUndefined();
    const told = await patch('told', { status: { phase: 'x' }, spec: { size: 9 } }, '/status');
    expect(told.body).toMatchObject({
      status: { phase: 'x' },
      spec: { size: 3 },
      metadata: { generation: 1 },
    });
    const spec = await patch('told', { spec: { size: 4 } });
    expect(spec.body).toMatchObject({ status: { phase: 'x' }, metadata: { generation: 2 } });
  });

  it('takes no update without a version, and no strategic merge patch', async () => {
    await post('strict', { mode: 'small' });
    const { body } = await cluster.call('PUT', `${path}/strict`, { body: widget('strict', { mode: 'big' }) });
    expect(body.message).toContain(
      'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    );
    const type = 'application/strategic-merge-patch+json';
    expect((await cluster.call('PATCH', `${path}/strict`, { body: {}, type })).status).toBe(415);
  });

  it('is applied by the keys that its schema names', async () => {
    const apply = (manager: string, steps: object[]) =>
      cluster.call('PATCH', `${path}/applied?fieldManager=${manager}`, {
        body: widget('applied', { mode: 'small', steps }),
        type: 'application/apply-patch+yaml',
      });
    await apply('one', [{ name: 'a', value: 1 }]);
    const both = await apply('two', [{ name: 'b', value: 2 }]);
    expect(both.body.spec.steps).toHaveLength(2);
    const refused = await apply('two', [{ name: 'a', value: 2 }]);
    expect(refused.body.message).toBe(
      'Apply failed with 1 conflict: conflict with "one": .spec.steps[name="a"].value',
    );
  });

  it('has no item twice in a list that its schema calls a map', async () => {
    const steps = [{ name: 'a' }, { name: 'b' }, { name: 'a', value: 1 }];
    const made = await post('twice', { mode: 'small', steps });
    expect(made.status).toBe(422);
    expect(made.body.message).toContain('spec.steps[2]: Duplicate value: {"name":"a"}');
    const applied = await cluster.call('PATCH', `${path}/twice?fieldManager=one`, {
      body: widget('twice', { mode: 'small', steps }),
      type: 'application/apply-patch+yaml',
    });
    expect(applied.status).toBe(500);
    expect(applied.body.message).toContain('.spec.steps: duplicate entries for key [name="a"]');
  });

  it('is printed with the columns of its definition', async () => {
    await post('printed', { mode: 'small' });
    await patch('printed', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }, '/status');
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const { body } = await cluster.call('GET', `${path}/printed`, { accept });
    expect(body.kind).toBe('Table');
    expect(body.columnDefinitions.map((column: { name: string }) => column.name)).toEqual([
      'Name',
      'Size',
      'Ready',
    ]);
    expect(body.rows[0].cells).toEqual(['printed', 3, 'True']);
  });
});

describe('a field that nobody knows', () => {
  it('is refused where the client asks for it, and always in what is applied', async () => {
    const strict = await cluster.call('POST', `${path}?fieldValidation=Strict`, {
      body: widget('unknown', { mode: 'small', mood: 'x', steps: [{ name: 'a', speed: 1 }] }),
    });
    expect(strict.status).toBe(400);
    expect(strict.body.message).toContain('cannot be handled as a Widget: strict decoding error: ');
    expect(strict.body.message).toContain('unknown field "spec.mood"');
    expect(strict.body.message).toContain('unknown field "spec.steps[0].speed"');
    const applied = await cluster.call('PATCH', `${path}/unknown?fieldManager=one`, {
      body: widget('unknown', { mode: 'small', mood: 'x' }),
      type: 'application/apply-patch+yaml',
    });
    expect(applied.status).toBe(500);
    expect(applied.body.message).toContain('.spec.mood: field not declared in schema');
  });
});

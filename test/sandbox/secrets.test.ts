import { beforeAll, expect, it } from 'vitest';
import { type Answer, type Cluster, useCluster } from './cluster.ts';

const MERGE = 'application/merge-patch+json';

let cluster: Cluster;
let path: string;

beforeAll(async () => {
  cluster = await useCluster();
  path = `/api/v1/namespaces/${await cluster.namespace()}/secrets`;
});

const post = (body: object): Promise<Answer> => cluster.call('POST', path, { body });
const patch = (name: string, body: object): Promise<Answer> =>
  cluster.call('PATCH', `${path}/${name}`, { body, type: MERGE });

it('turns stringData into data, and is Opaque unless it says otherwise', async () => {
  const { body } = await post({ metadata: { name: 'text' }, stringData: { password: 'x' } });
  expect(body.data).toEqual({ password: 'eA==' });
  expect(body.stringData).toBeUndefined();
  expect(body.type).toBe('Opaque');
  expect(body.metadata.generation).toBeUndefined();
});

it('keeps its type', async () => {
  await post({ metadata: { name: 'typed' } });
  const { status, body } = await patch('typed', { type: 'x/y' });
  expect(status).toBe(422);
  expect(body.message).toBe('Secret "typed" is invalid: type: Invalid value: "x/y": field is immutable');
  expect(body.details.causes).toEqual([
    { reason: 'FieldValueInvalid', message: 'Invalid value: "x/y": field is immutable', field: 'type' },
  ]);
});

it('is frozen once it is immutable, and can still be deleted', async () => {
  await post({ metadata: { name: 'frozen' }, data: { a: 'YQ==' }, immutable: true });
  const changed = await patch('frozen', { data: { a: 'Yg==' } });
  expect(changed.body.message).toBe(
    'Secret "frozen" is invalid: data: Forbidden: field is immutable when `immutable` is set',
  );
  const thawed = await patch('frozen', { immutable: false });
  expect(thawed.body.details.causes[0].field).toBe('immutable');
  const labelled = await patch('frozen', { metadata: { labels: { a: 'b' } } });
  expect(labelled.status).toBe(200);
  expect((await cluster.call('DELETE', `${path}/frozen`)).status).toBe(200);
});

it.each<[string, object, string]>([
  [
    'kubernetes.io/basic-auth',
    { x: 'YQ==' },
    '[data[username]: Required value, data[password]: Required value]',
  ],
  ['kubernetes.io/ssh-auth', {}, 'data[ssh-privatekey]: Required value'],
  ['kubernetes.io/tls', { 'tls.crt': 'YQ==' }, 'data[tls.key]: Required value'],
  ['kubernetes.io/dockercfg', {}, 'data[.dockercfg]: Required value'],
  [
    'kubernetes.io/dockerconfigjson',
    { '.dockerconfigjson': 'YQ==' },
    'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character',
  ],
  [
    'Opaque',
    { x: Buffer.alloc(1_048_577).toString('base64') },
    'data: Too long: may not be more than 1048576 bytes',
  ],
])('of type %s holds what the type asks for, and no more than 1 MiB', async (type, data, told) => {
  const { status, body } = await post({ metadata: { name: 'typed-anew' }, type, data });
  expect(status).toBe(422);
  expect(body.message).toContain(`Secret "typed-anew" is invalid: ${told}`);
});

it('has keys that are file names, and values that are base64', async () => {
  const badKey = await post({ metadata: { name: 'key' }, data: { 'a/b': 'YQ==' } });
  expect(badKey.status).toBe(422);
  expect(badKey.body.message).toContain(
    'data[a/b]: Invalid value: "a/b": a valid config key must consist of',
  );
  const badValue = await post({ metadata: { name: 'value' }, data: { a: '%%' } });
  expect(badValue.status).toBe(400);
  expect(badValue.body.message).toBe(
    'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0',
  );
});

it('tells all that is wrong with it at once', async () => {
  const { body } = await post({
    metadata: { name: 'Bad_Name', labels: { 'a b': 'c' } },
    data: { 'k/x': 'YQ==' },
  });
  expect(body.reason).toBe('Invalid');
  expect(body.details.causes.map((cause: { field: string }) => cause.field)).toEqual([
    'metadata.name',
    'metadata.labels',
    'data[k/x]',
  ]);
  expect(body.message).toMatch(
    /^Secret "Bad_Name" is invalid: \[metadata\.name: Invalid value: "Bad_Name": a low/,
  );
});

it('knows its fields: a misspelt one is refused where the client asks for it, dropped otherwise', async () => {
  const body = { metadata: { name: 'misspelt' }, stringdata: { a: 'b' } };
  const strict = await cluster.call('POST', `${path}?fieldValidation=Strict`, { body });
  expect(strict.body.message).toBe(
    'Secret in version "v1" cannot be handled as a Secret: strict decoding error: unknown field "stringdata"',
  );
  const lax = await post(body);
  expect(lax.status).toBe(201);
  expect(lax.body.stringdata).toBeUndefined();
});

import { setTimeout as delay } from 'node:timers/promises';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { FakeClock } from '../../core/clock.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';

let api: SandboxApi;
let config: KubeConfig;
let core: CoreV1Api;
const clock = new FakeClock();

beforeAll(async () => {
  api = await startApiServer({ clock });
  config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  core = config.makeApiClient(CoreV1Api);
});
afterAll(() => api.stop());
beforeEach(() => {
  api.faults.before = () => 'ok';
  api.faults.after = () => 'ok';
});

const namespace = 'default';
const body = (name: string) => ({ metadata: { name } });

it.each([
  [409, 'Conflict'],
  [410, 'Expired'],
  [429, 'TooManyRequests'],
  [500, 'InternalError'],
])('the server can be made to answer %i', async (status, reason) => {
  api.faults.before = ({ verb, resource }) =>
    verb === 'create' && resource === 'secrets' ? { status, reason, retryAfterSeconds: 3 } : 'ok';
  const refused = core.createNamespacedSecret({ namespace, body: body('refused') });
  await expect(refused).rejects.toMatchObject({
    code: status,
    headers: { 'retry-after': '3' },
    body: expect.stringContaining(reason),
  });
  expect((await core.listNamespacedSecret({ namespace })).items).toEqual([]);
});

it('a connection can be cut before a request is done', async () => {
  api.faults.before = ({ verb }) => (verb === 'create' ? 'cut' : 'ok');
  await expect(core.createNamespacedConfigMap({ namespace, body: body('cut') })).rejects.toThrow();
  await expect(core.readNamespacedConfigMap({ namespace, name: 'cut' })).rejects.toMatchObject({ code: 404 });
});

it('an answer can be lost after a request is done', async () => {
  api.faults.after = ({ verb }) => (verb === 'create' ? 'cut' : 'ok');
  await expect(core.createNamespacedConfigMap({ namespace, body: body('lost') })).rejects.toThrow();
  expect((await core.readNamespacedConfigMap({ namespace, name: 'lost' })).metadata?.name).toBe('lost');
});

it('a request can hang until the client gives up', async () => {
  api.faults.before = ({ name }) => (name === 'silent' ? 'hang' : 'ok');
  const asked = core.readNamespacedSecret({ namespace, name: 'silent' }).catch(() => 'broken off');
  const silence = delay(300, 'silence');
  expect(await Promise.race([asked, silence])).toBe('silence');
});

it('open watches can be cut, and tell of it', async () => {
  const seen: string[] = [];
  const ended = Promise.withResolvers<unknown>();
  const began = Promise.withResolvers<void>();
  const onEvent = (type: string) => {
    seen.push(type);
    began.resolve();
  };
  await new Watch(config).watch('/api/v1/namespaces', {}, onEvent, (error) => ended.resolve(error));
  await began.promise;
  api.cutWatches();
  expect(await ended.promise).toBeDefined();
  expect(seen).toContain('ADDED');
});

it('objects carry the time of the given clock', async () => {
  const made = await core.createNamespacedSecret({ namespace, body: body('timed') });
  expect(made.metadata?.creationTimestamp).toEqual(clock.now());
});

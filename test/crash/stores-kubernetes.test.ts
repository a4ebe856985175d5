import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { getRotation } from '../../ledger/rotations.ts';
import type { Fault, FaultRequest } from '../../sandbox/api/faults.ts';
import { kubernetesStore } from '../../stores/kubernetes/store.ts';
import { type Cluster, onSandbox } from '../sandbox/cluster.ts';
import { aCall } from '../setup/call.ts';
import { sampled } from '../setup/matrix.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';
import { clusterOfWorkers, undisturb } from './workers-cluster.ts';

let cluster: Cluster;
let stage: Stage | undefined;

beforeAll(async () => {
  const given = await clusterOfWorkers();
  cluster = given.cluster;
  return given.forget;
});
afterEach(async () => {
  undisturb(cluster);
  await stage?.stop();
  stage = undefined;
});

async function inSecrets() {
  const namespace = await cluster.namespace();
  const path = `shop/${randomUUID()}`;
  const store = kubernetesStore(
    kubeconfigClusters((config) => config.loadFromString(cluster.config.exportConfig())),
  );
  const session = store.open(store.spec.parse({ namespace }));
  const on = await setStage((ledgerUrl) => ledgerUrl, {
    store: { kind: 'kubernetes', spec: { namespace }, path },
  });
  stage = on;
  const first = randomUUID();
  const { port, name: dbname, initial } = on.app;
  const document = { engine: 'postgres', host: '127.0.0.1', port: String(port), dbname, ...initial };
  await session.stage(aCall({ fence: 0n }), path, first, SecretValue.of(JSON.stringify(document)));
  await session.promote(aCall({ fence: 0n }), path, first, undefined);
  return {
    first,
    on,
    namespace,
    versions: async () => session.list(aCall(), path),
    current: async () => {
      const found = await session.read(aCall(), path, 'current');
      return { ...JSON.parse(found?.document.reveal() ?? '{}'), versionId: found?.versionId };
    },
  };
}

const writing = ({ verb, resource, query }: FaultRequest) =>
  resource === 'secrets' && ['create', 'patch', 'delete'].includes(verb) && !query.has('dryRun');

const disturb = (moment: 'before' | 'after', how: (request: FaultRequest) => Fault) =>
  Object.assign(cluster.sandbox?.faults ?? {}, { [moment]: how });

describe('versions in Secrets of a cluster', () => {
  test.skipIf(!onSandbox).each(sampled(['after', 'before'] as const, 2))(
    'workers killed at every write of the store, %s the API server has done it: done, proven, and nothing is left over',
    { timeout: 60_000 },
    async (moment) => {
      const { on, namespace, current, versions } = await inSecrets();
      const id = await on.startRotation({ initialFrom: undefined });
      // The first worker dies at its first write, the second at its second, until one comes through.
      for (let turn = 1; ; turn += 1) {
        let writes = 0;
        let worker: StartedWorker | undefined;
        disturb(moment, (request) => {
          if (!writing(request) || ++writes !== turn) return 'ok';
          worker?.process.kill('SIGKILL');
          return 'cut';
        });
        const started = await on.startWorker(undefined, (spawned) => {
          worker = spawned;
        });
        await Promise.race([started.exited, on.ended(id)]);
        if ((await getRotation(on.test.ledger, id)).state === 'done') {
          expect(turn).toBeGreaterThan(2);
          break;
        }
      }
      const rotation = await on.ended(id);
      const told = await on.journal(id);
      expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
      const { username, password } = on.client.held();
      expect(await current(), told).toMatchObject({ username, password, versionId: rotation.newVersion });
      expect((await versions()).map(({ stages }) => stages.join('+'))).toEqual(['current', 'previous']);
      const { items } = await cluster.core.listNamespacedSecret({ namespace });
      expect(items.filter(({ type }) => type === 'rotor.dev/store-version')).toHaveLength(2);
      expect(on.client.refusals, told).toEqual([]);
      expect(told).toContain('"oldRefused":true');
    },
  );

  test('there and back, with a worker killed, 409, 429, 500 and lost answers: the version of before is current again, and the other is gone', {
    timeout: 60_000,
  }, async () => {
    const { on, first, current, versions } = await inSecrets();
    on.client.healthyWith = (versionId) => [first, 'v0'].includes(versionId);
    const troubles: Fault[] = [
      { status: 409, reason: 'Conflict' },
      { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 0 },
      { status: 500, reason: 'InternalError' },
      'cut',
    ];
    const left = onSandbox ? troubles : [];
    let [begun, done] = [0, 0];
    disturb('before', (request) => (writing(request) && begun++ % 2 === 0 ? (left.shift() ?? 'ok') : 'ok'));
    // Two of them: more failures of one step would be more than a rotation puts up with.
    disturb('after', (request) => (writing(request) && [4, 8].includes(++done) ? 'cut' : 'ok'));
    const id = await on.startRotation({ initialFrom: undefined });
    const killed = await on.startWorker({ point: 'back:publish:performed', signal: 'SIGKILL' });
    await Promise.race([killed.exited, on.ended(id)]);
    const point = `${killed.output()}\n${await on.journal(id)}`;
    expect(await getRotation(on.test.ledger, id), point).toMatchObject({ state: 'running' });
    await on.startWorker();
    const rotation = await on.ended(id);
    undisturb(cluster);
    const told = await on.journal(id);
    expect(rotation.state, told).toBe('rolled-back');
    expect(left, told).toEqual([]);
    expect(await current(), told).toMatchObject({ ...on.app.initial, versionId: first });
    expect((await versions()).map(({ stages }) => stages.join('+'))).toEqual(['current']);
    expect(on.client.refusals, told).toEqual([]);
  });

  test.skipIf(!onSandbox)(
    'a right that is lost before publishing turns the rotation back, and is named',
    { timeout: 60_000 },
    async () => {
      const { on, current } = await inSecrets();
      const id = await on.startRotation({ initialFrom: undefined });
      const killed = await on.startWorker({ point: 'forward:publish:announced', signal: 'SIGKILL' });
      expect(await killed.exited).toBe('SIGKILL');
      let refusals = 0;
      // Given back once a worker has met it.
      disturb('before', (request) =>
        request.verb === 'patch' && writing(request) && refusals++ === 0
          ? { status: 403, reason: 'Forbidden', message: 'User "rotor" cannot patch resource "secrets"' }
          : 'ok',
      );
      await on.startWorker();
      const rotation = await on.ended(id);
      undisturb(cluster);
      const told = await on.journal(id);
      expect(rotation, told).toMatchObject({
        state: 'rolled-back',
        error: {
          code: 'cluster.forbidden',
          what: expect.stringMatching(/rotor may not patch secret \S+\/rotor-shop-/),
        },
      });
      expect(await current(), told).toMatchObject({ password: on.app.initial.password });
      expect(on.client.refusals, told).toEqual([]);
    },
  );
});

import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { getRotation } from '../../ledger/rotations.ts';
import type { FaultRequest } from '../../sandbox/api/faults.ts';
import { kubernetesStore } from '../../stores/kubernetes/store.ts';
import { externalSecretDefinition, externalSecretsDouble } from '../doubles/external-secrets/controller.ts';
import { pushSecretDefinition, pushSecretsDouble } from '../doubles/external-secrets/push-controller.ts';
import { install, running } from '../doubles/installed.ts';
import { type Cluster, onSandbox } from '../sandbox/cluster.ts';
import { aCall } from '../setup/call.ts';
import type { TestCluster } from '../setup/cluster.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';
import { BY_EXTERNAL_SECRETS } from './strategies.ts';
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

type Fields = Readonly<Record<string, string>>;

interface Copying {
  readonly on: Stage;
  readonly first: string;
  readonly deliver: readonly { readonly kind: string; readonly spec: object }[];
  /** What has arrived at the other end. */
  arrived(): Promise<Fields>;
}

/** Versions in Secrets of the cluster, which External Secrets copies from there, or a delivered Secret that it pushes elsewhere. */
async function copying(kind: (typeof BY_EXTERNAL_SECRETS)[number]): Promise<Copying> {
  const kubeconfig = cluster.config.exportConfig();
  const there = { kubeconfig } as TestCluster;
  const namespace = await cluster.namespace();
  const path = `shop/${randomUUID()}`;
  const store = kubernetesStore(kubeconfigClusters((config) => config.loadFromString(kubeconfig)));
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
  await install(there, [externalSecretDefinition, pushSecretDefinition]);
  let pushed: Fields = {};
  const current = async (): Promise<Fields | undefined> => {
    const found = await session.read(aCall(), path, 'current');
    return found && JSON.parse(found.document.reveal());
  };
  await running(
    there,
    externalSecretsDouble((where) => (where === namespace ? current() : undefined)),
  );
  await running(
    there,
    pushSecretsDouble((where, data) => {
      if (where === namespace) pushed = data;
    }),
  );
  const metadata = { name: 'db', namespace };
  const entry = { kind, spec: { name: 'db', namespace } };
  if (kind === 'pushSecret') {
    const spec = { selector: { secret: { name: 'db' } }, secretStoreRefs: [{ name: 'elsewhere' }] };
    const made = { apiVersion: 'external-secrets.io/v1alpha1', kind: 'PushSecret', metadata, spec };
    await cluster.objects.create(made);
    const secret = { kind: 'secret', spec: { name: 'db', namespaces: [namespace] } };
    return { on, first, deliver: [secret, entry], arrived: async () => pushed };
  }
  const spec = { refreshInterval: '1h', dataFrom: [{ extract: { key: path } }] };
  const made = { apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', metadata, spec };
  await cluster.objects.create(made);
  const arrived = async () => {
    const { data = {} } = await cluster.core.readNamespacedSecret({ name: 'db', namespace });
    return Object.fromEntries(
      Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]),
    );
  };
  await expect.poll(() => arrived().catch(() => undefined), { timeout: 10_000 }).toMatchObject(initial);
  return { on, first, deliver: [entry], arrived };
}

const telling = ({ verb, resource }: FaultRequest) =>
  verb === 'patch' && /^(external|push)secrets$/.test(resource);

describe.each(BY_EXTERNAL_SECRETS)('%s', (kind) => {
  test.skipIf(!onSandbox)(
    'workers killed before and after the operator is told, and while they wait: done, and what has arrived is the new version',
    { timeout: 60_000 },
    async () => {
      const { on, deliver, arrived } = await copying(kind);
      const { faults } = cluster.sandbox as NonNullable<Cluster['sandbox']>;
      let worker: StartedWorker | undefined;
      const killing = (moment: 'before' | 'after') => {
        faults[moment] = (request) => {
          if (!telling(request)) return 'ok';
          worker?.process.kill('SIGKILL');
          return 'cut';
        };
      };
      const id = await on.startRotation({
        initialFrom: undefined,
        deliver: [...on.spec.deliver, ...deliver],
      });
      for (const moment of ['before', 'after'] as const) {
        killing(moment);
        const started = await on.startWorker(undefined, (spawned) => {
          worker = spawned;
        });
        await Promise.race([started.exited, on.ended(id)]);
        expect((await getRotation(on.test.ledger, id)).state, await on.journal(id)).toBe('running');
        undisturb(cluster);
      }
      const last = await on.startWorker({ point: 'forward:deliver:performed', signal: 'SIGKILL' });
      expect(await last.exited, await on.journal(id)).toBe('SIGKILL');
      await on.startWorker();
      const rotation = await on.ended(id);
      const told = await on.journal(id);
      expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
      const { username, password } = on.client.held();
      expect(await arrived(), told).toMatchObject({ username, password });
      expect(on.client.refusals, told).toEqual([]);
    },
  );

  test('a rotation that turns back, with a worker killed on the way: what has arrived is the version of before', {
    timeout: 60_000,
  }, async () => {
    const { on, first, deliver, arrived } = await copying(kind);
    on.client.healthyWith = (versionId) => [first, 'v0'].includes(versionId);
    const id = await on.startRotation({ initialFrom: undefined, deliver: [...on.spec.deliver, ...deliver] });
    const killed = await on.startWorker({ point: 'back:deliver:announced', signal: 'SIGKILL' });
    await Promise.race([killed.exited, on.ended(id)]);
    expect((await getRotation(on.test.ledger, id)).state, await on.journal(id)).toBe('running');
    await on.startWorker();
    const rotation = await on.ended(id);
    const told = await on.journal(id);
    expect(rotation.state, told).toBe('rolled-back');
    expect(await arrived(), told).toMatchObject(on.app.initial);
    expect(on.client.refusals, told).toEqual([]);
  });
});

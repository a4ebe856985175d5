import {
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  type V1CronJob,
  type V1Deployment,
} from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { type Clusters, kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { versionedName } from '../../workers/kubernetes/secret-names.ts';
import { secretReferences } from '../../workers/kubernetes/secret-references.ts';
import { discoveredRollout } from '../../workers/rollouts/discovered/rollout.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { Rollout, RolloutSession } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';
import { laterSecond } from '../setup/later-second.ts';

let api: SandboxApi;
let admin: KubernetesObjectApi;
let kinds: readonly Rollout[];
let clusters: Clusters;

beforeEach(async () => {
  api = await startApiServer();
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  admin = KubernetesObjectApi.makeApiClient(config);
  clusters = kubeconfigClusters((each) => each.loadFromString(api.kubeconfig()));
  kinds = rollouts({ allowedCommands: [], clusters });
  await create('v1', 'Secret', 'db', { metadata: { annotations: { 'rotor.dev/version': 'v0' } } });
});
// Who still asks keeps the server from stopping.
afterEach(async () => {
  for (const kind of kinds) await kind.close?.();
  await api.stop();
});

/** The sessions of a policy, opened as the saga opens them; the one that finds is the first. */
function open(exclude: readonly object[] = [], listed: readonly object[] = []): RolloutSession {
  const spec = { namespaces: ['default'], secretName: 'db', exclude };
  const sessions: RolloutSession[] = [];
  const kind = (name: string) => kinds.find((each) => each.kind === name) as Rollout;
  const opened = (name: string, consumer: string, written: object) =>
    kind(name).open(consumer, kind(name).spec.parse(written), () => sessions);
  sessions.push(opened('discovered', 'all', spec));
  for (const [index, each] of listed.entries()) sessions.push(opened('rolling', `listed-${index}`, each));
  return sessions[0] as RolloutSession;
}

const version = (versionId: string): Credential => ({ versionId, identity: 'app', fields: {}, secrets: {} });
const consumers = async (session: RolloutSession) =>
  ((await session.members?.(aCall(), 'caught-up')) ?? []).map(({ consumer }) => consumer);

async function create(apiVersion: string, kind: string, name: string, more: object = {}): Promise<void> {
  const { metadata, ...rest } = more as { metadata?: object };
  await admin.create({
    apiVersion,
    kind,
    metadata: { name, namespace: 'default', ...metadata },
    ...rest,
  } as never);
}

const podSpec = (restartPolicy = 'Always') => ({
  containers: [
    {
      name: 'web',
      image: 'x',
      env: [{ name: 'DB', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }],
    },
  ],
  restartPolicy,
});

const template = (restartPolicy?: string) => ({
  metadata: { labels: { app: 'x' } },
  spec: podSpec(restartPolicy),
});

const workload = () => ({ spec: { selector: { matchLabels: { app: 'x' } }, template: template() } });

/** A Deployment whose controller has done all it had to. */
async function deployment(name: string, more: object = {}): Promise<void> {
  await create('apps/v1', 'Deployment', name, { ...workload(), ...more });
}

interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** What says that something was made by `owner`, which is there; the collector removes what names another. */
async function madeBy({ apiVersion, kind, name }: Owner) {
  const found = await admin
    .read({ apiVersion, kind, metadata: { name, namespace: 'default' } })
    .catch(() => undefined);
  const uid = found?.metadata?.uid ?? `of-${name}`;
  return { ownerReferences: [{ apiVersion, kind, name, uid, controller: true }] };
}

const pod = async (name: string, owner?: Owner) =>
  create('v1', 'Pod', name, { metadata: owner ? await madeBy(owner) : {}, spec: podSpec('Never') });

async function deliver(versionId: string): Promise<void> {
  const metadata = { name: 'db', namespace: 'default', annotations: { 'rotor.dev/version': versionId } };
  await admin.patch(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      data: { password: Buffer.from(versionId).toString('base64') },
    },
    undefined,
    undefined,
    'rotor',
    true,
    'application/apply-patch+yaml' as never,
  );
}

test('plan shows who reads the Secret, how, and what is done about it', async () => {
  await deployment('web');
  await create('batch/v1', 'CronJob', 'nightly', {
    spec: { schedule: '0 0 * * *', jobTemplate: { spec: { template: template('Never') } } },
  });
  await deployment('puller', {
    spec: {
      selector: { matchLabels: { app: 'p' } },
      template: {
        metadata: { labels: { app: 'p' } },
        spec: { containers: [{ name: 'web', image: 'x' }], imagePullSecrets: [{ name: 'db' }] },
      },
    },
  });
  await pod('by-hand');
  const session = open([{ kind: 'Pod', name: 'by-hand', acknowledged: true, reason: 'a debugging session' }]);
  const survey = await session.survey?.(aCall());
  expect(survey?.found).toEqual([
    {
      consumer: 'all: pod default/by-hand',
      workload: 'pod default/by-hand',
      reads: ['env of container web'],
      moves: 'excluded: a debugging session',
      pods: 1,
    },
    expect.objectContaining({
      workload: 'deployment default/puller',
      reads: ['imagePullSecret'],
      moves: 'nothing to do: read when an image is pulled, never by the program',
    }),
    expect.objectContaining({ workload: 'deployment default/web', moves: 'rolling', pods: 0 }),
    expect.objectContaining({ workload: 'cronjob default/nightly', moves: 'its next run' }),
  ]);
  expect(survey?.warnings).toEqual([
    'not looked at: cluster sandbox has no Rollouts of argoproj.io/v1alpha1',
  ]);
});

describe('plan refuses, with what to do, when nobody could replace the pods of', () => {
  test.each<[string, () => Promise<void>, RegExp]>([
    ['a bare pod', () => pod('lonely'), /pod default\/lonely .*nobody replaces a bare pod/],
    [
      'a bare ReplicaSet',
      async () => {
        await create('apps/v1', 'ReplicaSet', 'bare', workload());
        await pod('bare-1', { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'bare' });
      },
      /replicaset default\/bare .*no controller replaces/,
    ],
    [
      'an operator that Rotor does not know',
      () => pod('kafka-0', { apiVersion: 'core.strimzi.io/v1', kind: 'StrimziPodSet', name: 'kafka' }),
      /strimzipodset default\/kafka .*can't roll the pods of a StrimziPodSet/,
    ],
  ])('%s', async (_what, make, message) => {
    await make();
    await expect(open().plan(aCall())).rejects.toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(message),
      hint: expect.stringContaining('acknowledged: true'),
    });
  });
});

test('an excluded workload is shown as acknowledged, in the words of the policy', async () => {
  await pod('lonely');
  const session = open([{ kind: 'Pod', name: 'lonely', acknowledged: true, reason: 'ends tonight' }]);
  await session.plan(aCall());
  await deliver('v1');
  const [member] = (await session.members?.(aCall(), 'caught-up')) ?? [];
  expect(await member?.move(aCall(), version('v1'), 'forward')).toMatchObject({
    version: 'acknowledged',
    detail: 'pod default/lonely in cluster sandbox: not observed: excluded by the policy (ends tonight)',
  });
});

test('what the policy lists by hand, and what Rotor itself has made, is not moved again', async () => {
  await deployment('web');
  await deployment('other');
  await deployment('web-green-1', { metadata: { labels: { 'rotor.dev/twin-of': 'web' } } });
  const listed = { deployment: 'web', namespace: 'default', secretName: 'db' };
  expect(await consumers(open([], [listed]))).toEqual(['all: deployment default/other']);
});

test('that nobody was found is a warning: perhaps the name is wrong', async () => {
  expect((await open().survey?.(aCall()))?.warnings[0]).toMatch(
    /nobody was found who reads secret default\/db/,
  );
});

test('a workload that is made between two looks is there at the second', async () => {
  const session = open();
  expect(await consumers(session)).toEqual([]);
  await deployment('late');
  expect(await consumers(session)).toEqual(['all: deployment default/late']);
});

test('a Job that runs since before the delivery is waited for until it ends; the next run is on the version', async () => {
  const cronJob = { spec: { schedule: '0 0 * * *', jobTemplate: { spec: { template: template('Never') } } } };
  await create('batch/v1', 'CronJob', 'nightly', cronJob);
  await create('batch/v1', 'Job', 'nightly-1', {
    metadata: await madeBy({ apiVersion: 'batch/v1', kind: 'CronJob', name: 'nightly' }),
    spec: { template: template('Never') },
  });
  await pod('nightly-1-a', { apiVersion: 'batch/v1', kind: 'Job', name: 'nightly-1' });
  const session = open();
  await session.plan(aCall());
  await deliver('v1');
  const look = async (going: 'forward' | 'back' = 'forward') => {
    const members = (await session.members?.(aCall(), 'caught-up')) ?? [];
    const seen = await Promise.all(members.map((each) => each.move(aCall(), version('v1'), going)));
    return Object.fromEntries(members.map(({ consumer }, index) => [consumer, seen[index]]));
  };
  const before = await look();
  expect(before['all: cronjob default/nightly']).toMatchObject({ version: 'acknowledged' });
  expect(before['all: job default/nightly-1']).toEqual({
    notYet: expect.stringMatching(/job default\/nightly-1 .*\(pod nightly-1-a\) .*until it ends/),
  });
  // On the way back it isn't waited for: what it uses is still accepted.
  expect((await look('back'))['all: job default/nightly-1']).toMatchObject({ healthy: true });
  await admin.delete({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'nightly-1-a', namespace: 'default' },
  });
  expect((await look())['all: job default/nightly-1']).toMatchObject({
    detail: expect.stringContaining('nothing of it runs'),
  });
});

test('a pod proves nothing while nobody knows when the Secret was written', async () => {
  await create('batch/v1', 'Job', 'once', { spec: { template: template('Never') } });
  const session = open();
  await deliver('v1');
  await laterSecond();
  await pod('once-a', { apiVersion: 'batch/v1', kind: 'Job', name: 'once' });
  const look = async () => {
    const [member] = (await session.members?.(aCall(), 'caught-up')) ?? [];
    return member?.move(aCall(), version('v1'), 'forward');
  };
  expect(await look()).toMatchObject({ healthy: true });
  // An empty list of one empty entry is how somebody clears the notes.
  const db = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'db', namespace: 'default', managedFields: [{}] },
  };
  await admin.patch(db, undefined, undefined, undefined, undefined, PatchStrategy.MergePatch);
  expect(await look()).toEqual({ notYet: expect.stringContaining('once-a') });
});

describe('where each version has a Secret of its own', () => {
  const own = (versionId: string) => versionedName('db', versionId);
  const deliverOwn = (versionId: string) =>
    create('v1', 'Secret', own(versionId), { metadata: { annotations: { 'rotor.dev/version': versionId } } });
  const look = async (session: RolloutSession, versionId: string, going: 'forward' | 'back') => {
    const [member] = (await session.members?.(aCall(), 'caught-up')) ?? [];
    return member?.move(aCall(), version(versionId), going).catch((error: unknown) => error);
  };

  test('the next run of a CronJob reads the one of the version, and on the way back that of before', async () => {
    const named = { env: [{ name: 'DB', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }] };
    const pods = { ...podSpec('Never'), initContainers: [{ name: 'init', image: 'x', ...named }] };
    const jobTemplate = { spec: { template: { spec: { ...pods, imagePullSecrets: [{ name: 'db' }] } } } };
    await create('batch/v1', 'CronJob', 'nightly', { spec: { schedule: '0 0 * * *', jobTemplate } });
    const names = async () => {
      const metadata = { name: 'nightly', namespace: 'default' };
      const read = await admin.read<V1CronJob>({ apiVersion: 'batch/v1', kind: 'CronJob', metadata });
      return secretReferences(read.spec?.jobTemplate.spec?.template.spec as never).map(({ name }) => name);
    };
    const session = open();
    await deliverOwn('v1');
    for (const _ of ['once', 'again'])
      expect(await look(session, 'v1', 'forward')).toMatchObject({ healthy: true });
    expect(await names()).toEqual([own('v1'), own('v1'), own('v1')]);
    expect(await look(session, 'v0', 'back')).toMatchObject({ healthy: true });
    expect(await names()).toEqual(['db', 'db', 'db']);
  });

  test('a Job that names another is waited for until it ends, also between two pods', async () => {
    await create('batch/v1', 'Job', 'once', { spec: { template: template('Never') } });
    const session = open();
    await deliverOwn('v1');
    expect(await look(session, 'v1', 'forward')).toEqual({
      notYet: expect.stringMatching(/job default\/once .*reads secret db, .*until it ends/),
    });
    expect(await look(session, 'v0', 'back')).toMatchObject({ healthy: true });
  });

  test('a bare ReplicaSet that names another is refused, without pods too', async () => {
    await create('apps/v1', 'ReplicaSet', 'bare', { spec: { ...workload().spec, replicas: 0 } });
    await deliverOwn('v1');
    expect(await look(open(), 'v1', 'forward')).toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(/replicaset default\/bare .*reads secret db, .*nobody changes the name/),
    });
  });

  test('who only pulls images by it is moved to the new name, as it would find nothing under the old one', async () => {
    const spec = { containers: [{ name: 'web', image: 'x' }], imagePullSecrets: [{ name: 'db' }] };
    const pods = { metadata: { labels: { app: 'p' } }, spec };
    await deployment('puller', { spec: { selector: { matchLabels: { app: 'p' } }, template: pods } });
    await deliverOwn('v1');
    expect(await look(open(), 'v1', 'forward')).toEqual({
      notYet: expect.stringMatching(/deployment default\/puller/),
    });
    const metadata = { name: 'puller', namespace: 'default' };
    const read = await admin.read<V1Deployment>({ apiVersion: 'apps/v1', kind: 'Deployment', metadata });
    expect(read.spec?.template.spec?.imagePullSecrets).toEqual([{ name: own('v1') }]);
  });
});

test('a pod that was made after the delivery is on the version, whoever made it', async () => {
  await deliver('v1');
  api.seed('/pods', [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'by-hand',
        namespace: 'default',
        creationTimestamp: new Date(Date.now() + 5_000).toISOString(),
      } as never,
      spec: podSpec(),
    },
  ]);
  const [member] = (await open().members?.(aCall(), 'caught-up')) ?? [];
  expect(await member?.move(aCall(), version('v1'), 'forward')).toMatchObject({
    pods: [{ name: 'by-hand', onVersion: true, by: 'started' }],
  });
});

test('an Argo Rollout is moved as such; a worker that does not know how refuses it in words', async () => {
  const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  await admin.create({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'rollouts.argoproj.io' },
    spec: {
      group: 'argoproj.io',
      names: { kind: 'Rollout', plural: 'rollouts', singular: 'rollout', listKind: 'RolloutList' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: free } } },
        },
      ],
    },
  } as never);
  const metadata = { name: 'canary', namespace: 'default' };
  api.seed('argoproj.io/rollouts', [
    { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', metadata, ...workload() },
  ]);
  const survey = await open().survey?.(aCall());
  expect(survey?.found).toMatchObject([{ workload: 'rollout default/canary', moves: 'argoRollouts' }]);
  const ignorant = discoveredRollout({ clusters, rollout: () => undefined });
  kinds = [...kinds, ignorant as Rollout];
  const session = ignorant.open('all', ignorant.spec.parse({ namespaces: ['default'], secretName: 'db' }));
  await expect(session.plan(aCall())).rejects.toMatchObject({
    message: expect.stringMatching(/rollout default\/canary .*knows no rollout for a Rollout/),
  });
});

test('a disruption budget that the strategy goes against is a warning', async () => {
  await create('apps/v1', 'StatefulSet', 'queue', { spec: { serviceName: 'q', ...workload().spec } });
  await create('policy/v1', 'PodDisruptionBudget', 'all-of-them', {
    spec: { minAvailable: '100%', selector: { matchLabels: { app: 'x' } } },
  });
  const budget = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', name: 'all-of-them' };
  const kept = await admin.read({ ...budget, metadata: { name: 'all-of-them', namespace: 'default' } });
  api.seed('policy/poddisruptionbudgets', [{ ...kept, status: { disruptionsAllowed: 0 } } as never]);
  const survey = await open().survey?.(aCall());
  expect(survey?.warnings).toContainEqual(
    expect.stringMatching(/statefulset default\/queue: .*PodDisruptionBudget all-of-them allows none/),
  );
});

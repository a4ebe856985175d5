import { KubeConfig, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import {
  type FollowedConsumers,
  followConsumers,
} from '../../workers/kubernetes/consumers/followed-consumers.ts';
import { aCall } from '../setup/call.ts';

let api: SandboxApi;
let admin: KubernetesObjectApi;

beforeEach(async () => {
  api = await startApiServer({ bookmarkEveryMs: 600_000 });
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  admin = KubernetesObjectApi.makeApiClient(config);
});
// Who still asks keeps the server from stopping.
afterEach(async () => {
  for (const consumers of followed.splice(0)) await consumers.close();
  await api.stop();
});

const followed: FollowedConsumers[] = [];

async function following(user = 'admin'): Promise<FollowedConsumers> {
  const clusters = kubeconfigClusters((config) => config.loadFromString(api.kubeconfig(user)));
  const consumers = followConsumers(await clusters.open(undefined));
  followed.push(consumers);
  return consumers;
}

const template = {
  metadata: { labels: { app: 'x' } },
  spec: {
    containers: [
      {
        name: 'web',
        image: 'x',
        env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'db', key: 'a' } } }],
      },
    ],
    restartPolicy: 'Always',
  },
};

const deployment = (name: string, namespace = 'default') => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: { selector: { matchLabels: { app: 'x' } }, template },
});

const named = (found: Awaited<ReturnType<FollowedConsumers['of']>>) =>
  found.consumers.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);

test('who reads a Secret in its namespaces is told without a request, once the cluster is followed', async () => {
  await admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
  await admin.create(deployment('web'));
  await admin.create(deployment('web', 'other'));
  const consumers = await following();
  const secret = { namespaces: ['default', 'other'], name: 'db' };
  expect(named(await consumers.of(aCall(), secret, 'followed'))).toEqual([
    'Deployment default/web',
    'Deployment other/web',
  ]);
  const asked: string[] = [];
  api.faults.before = ({ verb, resource }) => {
    asked.push(`${verb} ${resource}`);
    return 'ok';
  };
  expect(named(await consumers.of(aCall(), { ...secret, namespaces: ['other'] }, 'followed'))).toEqual([
    'Deployment other/web',
  ]);
  expect(asked).toEqual([]);
});

test('caught up, it tells of a workload that was made the moment before', async () => {
  const consumers = await following();
  const secret = { namespaces: ['default'], name: 'db' };
  expect(named(await consumers.of(aCall(), secret, 'caught-up'))).toEqual([]);
  await admin.create(deployment('web'));
  expect(named(await consumers.of(aCall(), secret, 'caught-up'))).toEqual(['Deployment default/web']);
});

test('a kind that the cluster lacks, or that may not be watched, is a blind spot in words', async () => {
  grant('reader', ['pods'], '');
  grant('reader', ['replicasets', 'deployments', 'statefulsets', 'daemonsets'], 'apps');
  await granted();
  const { blindSpots } = await (await following('reader')).of(
    aCall(),
    { namespaces: ['default'], name: 'db' },
    'followed',
  );
  expect(blindSpots).toEqual([
    expect.stringMatching(/reader may not list cronjob .*: CronJobs without pods are not found/),
    expect.stringMatching(/reader may not list job .*: Jobs without pods are not found/),
    'cluster sandbox has no Rollouts of argoproj.io/v1alpha1',
  ]);
});

test('without a look at the pods nothing could be proven: refused, naming the verb and the kind', async () => {
  api.addUser('nobody');
  await expect(
    (await following('nobody')).of(aCall(), { namespaces: ['default'], name: 'db' }, 'followed'),
  ).rejects.toMatchObject({
    code: 'cluster.forbidden',
    message: expect.stringMatching(/nobody may not list \w+ default/),
  });
});

test('who may look into some namespaces only follows these, and no others', async () => {
  await admin.create(deployment('web'));
  grant('local', ['*'], '*', 'default');
  await granted();
  const watched = new Set<string>();
  api.faults.before = ({ verb, namespace, user }) => {
    if (verb === 'list' && user === 'local') watched.add(namespace);
    return 'ok';
  };
  const consumers = await following('local');
  expect(named(await consumers.of(aCall(), { namespaces: ['default'], name: 'db' }, 'followed'))).toEqual([
    'Deployment default/web',
  ]);
  expect([...watched]).toEqual(['default']);
  await expect(
    consumers.of(aCall(), { namespaces: ['kube-system'], name: 'db' }, 'followed'),
  ).rejects.toMatchObject({
    code: 'cluster.forbidden',
  });
});

const grants: Promise<unknown>[] = [];
const granted = () => Promise.all(grants.splice(0));

/** Lets a user list and watch, everywhere or in one namespace. */
function grant(user: string, resources: string[], apiGroup: string, namespace?: string): void {
  api.addUser(user);
  const name = `${user}-${apiGroup.replace('*', 'all') || 'core'}`;
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const rules = [{ apiGroups: [apiGroup], resources, verbs: ['list', 'watch'] }];
  const subjects = [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }];
  const kind = namespace ? 'Role' : 'ClusterRole';
  const metadata = { name, ...(namespace ? { namespace } : {}) };
  grants.push(
    admin.create({ apiVersion, kind, metadata, rules } as never),
    admin.create({
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      subjects,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    } as never),
  );
}

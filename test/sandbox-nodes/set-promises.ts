import { expect, it } from 'vitest';
import { DAEMON_SETS, PODS, STATEFUL_SETS } from '../../sandbox/controllers/client/kinds.ts';
import type { Pod, StatefulSet } from '../../sandbox/controllers/client/wire.ts';
import { isReady } from '../../sandbox/controllers/pod-facts.ts';
import type { TestCluster } from './cluster.ts';
import { serverTemplate, variable } from './workloads.ts';

/** What StatefulSets and DaemonSets promise. */
export function setPromises(the: () => TestCluster): void {
  it('a StatefulSet makes its pods in order, and replaces them from the highest down', async () => {
    const events: string[] = [];
    const stop = the().pods.onChange(({ before, after }) => {
      const pod = after ?? before;
      if (pod?.metadata.labels?.app !== 'ordered' || pod.metadata.namespace !== the().namespace) return;
      const name = `${pod.metadata.name}@${variable(pod, 'VERSION')}`;
      if (!before) events.push(`made ${name}`);
      if (after && before && isReady(after) && !isReady(before)) events.push(`ready ${name}`);
      if (!after) events.push(`gone ${name}`);
    });
    await createStatefulSet(the(), 'ordered', 3);
    await untilUpdated(the(), 'ordered');
    expect(events).toEqual([0, 1, 2].flatMap((n) => [`made ordered-${n}@1`, `ready ordered-${n}@1`]));
    events.length = 0;
    const before = await get(the(), 'ordered');
    await patch(the(), 'ordered', { template: serverTemplate('ordered', '2') });
    const after = await untilUpdated(the(), 'ordered');
    stop();
    expect(events).toEqual(
      [2, 1, 0].flatMap((n) => [`gone ordered-${n}@1`, `made ordered-${n}@2`, `ready ordered-${n}@2`]),
    );
    expect(after.status?.currentRevision).toBe(after.status?.updateRevision);
    expect(after.status?.updateRevision).not.toBe(before.status?.updateRevision);
  });

  it('a StatefulSet with a partition leaves the lower ordinals as they are', async () => {
    await createStatefulSet(the(), 'parted', 2);
    await untilUpdated(the(), 'parted');
    const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 1 } };
    await patch(the(), 'parted', { template: serverTemplate('parted', '2'), updateStrategy });
    await the().until('the upper pod', () => {
      const upper = the().pods.get(the().namespace, 'parted-1');
      return (upper && isReady(upper) && variable(upper, 'VERSION') === '2') || undefined;
    });
    const versions = podsOf(the(), 'parted').map((pod) => variable(pod, 'VERSION'));
    expect(versions).toEqual(['1', '2']);
    await the().until('the status', async () => {
      const { status } = await get(the(), 'parted');
      return (status?.updatedReplicas === 1 && status.currentRevision !== status.updateRevision) || undefined;
    });
    // A pod below the partition comes back with the revision it had.
    await the().api.delete(PODS, { name: 'parted-0', namespace: the().namespace });
    await the().until('the lower pod to come back', () => {
      const lower = the().pods.get(the().namespace, 'parted-0');
      return (
        (lower &&
          isReady(lower) &&
          variable(lower, 'VERSION') === '1' &&
          !lower.metadata.deletionTimestamp) ||
        undefined
      );
    });
  });

  it('a DaemonSet runs one pod on the node, and replaces it', async () => {
    const { api, namespace, nodeName } = the();
    const template = serverTemplate('every', '1');
    const onThisNode = (version: string) => {
      const { metadata = {}, spec } = serverTemplate('every', version);
      const selector = { 'kubernetes.io/hostname': nodeName };
      return { metadata, spec: { containers: [], ...spec, nodeSelector: selector } };
    };
    await api.create(DAEMON_SETS, {
      metadata: { name: 'every', namespace },
      spec: {
        selector: { matchLabels: template.metadata?.labels ?? {} },
        template: onThisNode('1'),
      },
    });
    await untilVersion(the(), 'every', '1');
    await api.patch(DAEMON_SETS, { name: 'every', namespace }, { spec: { template: onThisNode('2') } });
    await untilVersion(the(), 'every', '2');
    await the().until('the status', async () => {
      const { status } = await api.get(DAEMON_SETS, { name: 'every', namespace });
      return (status?.numberAvailable === 1 && status.updatedNumberScheduled === 1) || undefined;
    });
  });
}

function podsOf({ pods, namespace }: TestCluster, app: string): Pod[] {
  return pods
    .list(namespace)
    .filter(({ metadata }) => metadata.labels?.app === app)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

async function untilVersion(cluster: TestCluster, app: string, version: string): Promise<void> {
  await cluster.until(`${app} at ${version}`, () => {
    const [pod, ...more] = podsOf(cluster, app);
    return (pod && more.length === 0 && isReady(pod) && variable(pod, 'VERSION') === version) || undefined;
  });
}

async function createStatefulSet({ api, namespace }: TestCluster, name: string, replicas: number) {
  await api.create(STATEFUL_SETS, {
    metadata: { name, namespace },
    spec: {
      serviceName: name,
      replicas,
      selector: { matchLabels: { app: name } },
      template: serverTemplate(name, '1'),
    },
  });
}

function get({ api, namespace }: TestCluster, name: string): Promise<StatefulSet> {
  return api.get(STATEFUL_SETS, { name, namespace });
}

function patch({ api, namespace }: TestCluster, name: string, spec: object): Promise<StatefulSet> {
  return api.patch(STATEFUL_SETS, { name, namespace }, { spec });
}

function untilUpdated(cluster: TestCluster, name: string): Promise<StatefulSet> {
  return cluster.until(`${name} to be updated`, async () => {
    const set = await get(cluster, name);
    const { status } = set;
    const done =
      status?.observedGeneration === set.metadata.generation &&
      status?.updatedReplicas === set.spec.replicas &&
      status?.readyReplicas === set.spec.replicas &&
      status?.currentRevision === status?.updateRevision;
    return done ? set : undefined;
  });
}

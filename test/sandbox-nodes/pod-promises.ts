import { expect, it } from 'vitest';
import { LEASES, NODES, PODS } from '../../sandbox/controllers/client/kinds.ts';
import type { Pod, PodSpec } from '../../sandbox/controllers/client/wire.ts';
import { isReady } from '../../sandbox/controllers/pod-facts.ts';
import type { TestCluster } from './cluster.ts';
import { putSecret, scriptContainer } from './workloads.ts';

const FOREVER = 'setInterval(() => {}, 1000);';

/** What a node promises for a pod, whoever made it. */
export function podPromises(the: () => TestCluster): void {
  it('asks a process to end, and kills it when its grace period is over', async () => {
    const polite = `process.on('SIGTERM', () => process.exit(0)); ${FOREVER}`;
    const stubborn = `process.on('SIGTERM', () => {}); ${FOREVER}`;
    await createPod(the(), 'polite', {
      terminationGracePeriodSeconds: 20,
      containers: [scriptContainer(polite)],
    });
    await createPod(the(), 'stubborn', {
      terminationGracePeriodSeconds: 3,
      containers: [scriptContainer(stubborn)],
    });
    await untilReady(the(), 'polite');
    await untilReady(the(), 'stubborn');
    // The handler is installed by the script; a process that has just been started may not have it yet.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await timeToGo(the(), 'polite')).toBeLessThan(2_500);
    const waited = await timeToGo(the(), 'stubborn');
    expect(waited).toBeGreaterThan(2_500);
    expect(waited).toBeLessThan(8_000);
  });

  it('starts a crashed container again, and remembers how it ended', async () => {
    const script = `setTimeout(() => process.exit(7), 200);`;
    await createPod(the(), 'crashes', { containers: [scriptContainer(script)] });
    const pod = await the().until('two restarts', () => {
      const found = get(the(), 'crashes');
      return (found?.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 2 ? found : undefined;
    });
    expect(pod?.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({
      exitCode: 7,
      reason: 'Error',
    });
    await the().until('a pause between the crashes', () => {
      const { state } = get(the(), 'crashes')?.status?.containerStatuses?.[0] ?? {};
      return state?.waiting?.reason === 'CrashLoopBackOff' || undefined;
    });
  });

  it('waits for a Secret that is missing, and says which', async () => {
    const env = [{ name: 'WORD', valueFrom: { secretKeyRef: { name: 'late', key: 'word' } } }];
    await createPod(the(), 'waits', { containers: [scriptContainer(FOREVER, { env })] });
    await the().until('the reason', () => {
      const { state } = get(the(), 'waits')?.status?.containerStatuses?.[0] ?? {};
      return (
        (state?.waiting?.reason === 'CreateContainerConfigError' &&
          state.waiting.message === 'secret "late" not found') ||
        undefined
      );
    });
    await putSecret(the(), 'late', { word: 'x' });
    await untilReady(the(), 'waits');
  });

  it('says that an image is unknown', async () => {
    await createPod(the(), 'unknown', { containers: [scriptContainer(FOREVER, { image: 'no/such' })] });
    const reasons = new Set<string>();
    await the().until('both reasons', () => {
      const { state } = get(the(), 'unknown')?.status?.containerStatuses?.[0] ?? {};
      if (state?.waiting?.reason) reasons.add(state.waiting.reason);
      return reasons.has('ImagePullBackOff') || undefined;
    });
  });

  it('runs init containers one after the other before the others', async () => {
    const wait = `setTimeout(() => process.exit(0), 300);`;
    await createPod(the(), 'inits', {
      initContainers: [scriptContainer(wait, { name: 'one' }), scriptContainer(wait, { name: 'two' })],
      containers: [scriptContainer(FOREVER)],
    });
    const pod = await untilReady(the(), 'inits');
    const times = pod.status?.initContainerStatuses?.map(({ state }) => state?.terminated?.exitCode);
    expect(times).toEqual([0, 0]);
    expect(pod.status?.conditions?.find(({ type }) => type === 'Initialized')?.status).toBe('True');
  });

  it('finishes a pod that may not be restarted', async () => {
    for (const [name, code, phase] of [
      ['succeeds', 0, 'Succeeded'],
      ['fails', 3, 'Failed'],
    ] as const) {
      const containers = [scriptContainer(`process.exit(${code})`)];
      await createPod(the(), name, { restartPolicy: 'Never', containers });
      await the().until(phase, () => get(the(), name)?.status?.phase === phase || undefined);
    }
  });

  it('restarts a container whose liveness probe fails', async () => {
    const livenessProbe = {
      exec: { command: ['-e', 'process.exit(1)'] },
      periodSeconds: 1,
      failureThreshold: 1,
      terminationGracePeriodSeconds: 1,
    };
    await createPod(the(), 'sick', { containers: [scriptContainer(FOREVER, { livenessProbe })] });
    await the().until('a restart', () => {
      const status = get(the(), 'sick')?.status?.containerStatuses?.[0];
      return (status?.restartCount ?? 0) >= 1 || undefined;
    });
  });

  it('a node that was taken for dead says that it runs, and takes pods again', async () => {
    const { api, nodeName: name } = the();
    const doubts = (status: string) => ({
      status: { conditions: [{ type: 'Ready', status, reason: 'NodeStatusUnknown' }] },
    });
    await api.patch(NODES, { name }, doubts('Unknown'), 'status');
    await the().until('the node to be ready', async () => {
      const { status } = await api.get(NODES, { name });
      return (
        status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') || undefined
      );
    });
    await createPod(the(), 'afterwards', { containers: [scriptContainer(FOREVER)] });
    await untilReady(the(), 'afterwards');
    const lease = await api.get(LEASES, { name, namespace: 'kube-node-lease' });
    expect(lease.metadata.ownerReferences?.map(({ kind, name: owner }) => `${kind} ${owner}`)).toEqual([
      `Node ${name}`,
    ]);
  });

  it('starts its pods anew when the node itself restarts', async () => {
    await createPod(the(), 'survivor', { containers: [scriptContainer(FOREVER)] });
    const before = await untilReady(the(), 'survivor');
    await the().restartKubelet();
    await the().until('the restart', () => {
      const pod = get(the(), 'survivor');
      const status = pod?.status?.containerStatuses?.[0];
      return (pod && isReady(pod) && status?.restartCount === 1) || undefined;
    });
    expect(get(the(), 'survivor')?.metadata.uid).toBe(before.metadata.uid);
  });
}

/** Makes a pod of its own. */
export function createPod({ api, namespace }: TestCluster, name: string, spec: PodSpec): Promise<Pod> {
  return api.create(PODS, {
    metadata: { name, namespace },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  });
}

/** Waits until a pod is ready. */
export function untilReady(cluster: TestCluster, name: string): Promise<Pod> {
  return cluster.until(`${name} to be ready`, () => {
    const pod = get(cluster, name);
    return pod && isReady(pod) ? pod : undefined;
  });
}

function get({ pods, namespace }: TestCluster, name: string): Pod | undefined {
  return pods.get(namespace, name);
}

async function timeToGo(cluster: TestCluster, name: string): Promise<number> {
  const began = Date.now();
  await cluster.api.delete(PODS, { name, namespace: cluster.namespace });
  await cluster.until(`${name} to go`, () => get(cluster, name) === undefined || undefined);
  return Date.now() - began;
}

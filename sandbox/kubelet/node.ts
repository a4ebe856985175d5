import { arch, cpus, hostname, platform, release, totalmem } from 'node:os';
import { type Api, ignoring, reasonOf, statusOf } from '../controllers/client/api.ts';
import { LEASES, NODES } from '../controllers/client/kinds.ts';
import type { Node } from '../controllers/client/wire.ts';
import { seconds } from './container.ts';
import type { Settings } from './options.ts';

const LEASE_NAMESPACE = 'kube-node-lease';
const NOT_READY_TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** Makes this machine known as a node, or says anew that it is ready. */
export async function registerNode(api: Api, settings: Settings): Promise<void> {
  const { nodeName: name, labels } = settings;
  const goArch = arch() === 'x64' ? 'amd64' : arch();
  const metadata = {
    name,
    labels: {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': platform(),
      'kubernetes.io/arch': goArch,
      ...labels,
    },
  };
  await ignoring([409], api.create(NODES, { metadata, spec: {} }));
  const node = await api.patch(NODES, { name }, { metadata: { labels: metadata.labels } });
  await api.patch(NODES, { name }, { status: nodeStatus(settings, goArch) }, 'status');
  // The API server marks every new node; the controller that would clear the mark may not be running.
  const taints = node.spec?.taints?.filter(({ key }) => !NOT_READY_TAINTS.includes(key));
  if (taints && taints.length !== node.spec?.taints?.length)
    await api.patch(NODES, { name }, { spec: { taints: taints.length > 0 ? taints : null } });
}

/**
 * Whether nobody takes this node for ready: who watches over nodes doubts one that was silent for a while, and believes again
 * only what the node itself says.
 */
export function isDoubted({ status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return ready !== undefined && ready.status !== 'True';
}

function nodeStatus({ clock, address, nodeName }: Settings, architecture: string): object {
  const now = seconds(clock.now());
  const healthy = (type: string, reason: string, status = 'False') => ({
    type,
    status,
    reason,
    message: reason,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  const capacity = {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: '110',
  };
  return {
    capacity,
    allocatable: capacity,
    addresses: [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: nodeName },
    ],
    conditions: [
      healthy('MemoryPressure', 'KubeletHasSufficientMemory'),
      healthy('DiskPressure', 'KubeletHasNoDiskPressure'),
      healthy('PIDPressure', 'KubeletHasSufficientPID'),
      healthy('Ready', 'KubeletReady', 'True'),
    ],
    nodeInfo: {
      architecture,
      bootID: '',
      containerRuntimeVersion: 'local://1',
      kernelVersion: release(),
      kubeProxyVersion: '',
      kubeletVersion: 'v1.36.0-sandbox',
      machineID: hostname(),
      operatingSystem: platform(),
      osImage: platform(),
      systemUUID: '',
    },
  };
}

/** Renews the node's lease until the signal ends it. */
export async function heartbeat(api: Api, settings: Settings, signal: AbortSignal): Promise<void> {
  const { nodeName: name, clock, log, heartbeatMs } = settings;
  const leaseDurationSeconds = Math.ceil((heartbeatMs * 4) / 1000);
  while (!signal.aborted) {
    // Leases count in microseconds, and the API insists on all six digits.
    const renewTime = clock.now().toISOString().replace('Z', '000Z');
    const spec = { holderIdentity: name, leaseDurationSeconds, renewTime };
    const at = { name, namespace: LEASE_NAMESPACE };
    try {
      await api.patch(LEASES, at, { spec });
    } catch (error) {
      const missing = statusOf(error) === 404;
      const made = missing ? createLease(api, settings, at, spec) : Promise.reject(error);
      await made.catch((again: unknown) => log.debug({ reason: reasonOf(again) }, 'no heartbeat'));
    }
    await clock.sleep(heartbeatMs, signal).catch(() => undefined);
  }
}

/** The lease goes with its node. */
async function createLease(
  api: Api,
  { nodeName }: Settings,
  at: { readonly name: string; readonly namespace: string },
  spec: object,
): Promise<unknown> {
  const { metadata } = await api.get(NODES, { name: nodeName });
  const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: metadata.uid };
  return api.create(LEASES, { metadata: { ...at, ownerReferences: [owner] }, spec });
}

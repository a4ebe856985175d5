import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { Clusters } from '../../core/kubernetes/cluster.ts';
import { connectApi, statusOf } from '../../sandbox/controllers/client/api.ts';
import { PODS } from '../../sandbox/controllers/client/kinds.ts';
import type { DeliverySession } from '../../workers/deliveries/delivery.ts';
import { secretProviderClassDelivery } from '../../workers/deliveries/secret-provider-class/delivery.ts';
import { valuesOf } from '../../workers/deliveries/template.ts';
import { CSI_DRIVER } from '../../workers/kubernetes/mounts/decide.ts';
import { configOf, install } from '../doubles/installed.ts';
import {
  POD_STATUSES,
  podStatusDefinition,
  providerClassDefinition,
} from '../doubles/secrets-store-csi/definition.ts';
import { type DriverDouble, type Stored, startDriverDouble } from '../doubles/secrets-store-csi/driver.ts';
import { type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import type { DeliveryScenario } from './deliveries-scenarios.ts';
import { untilArrived } from './external-secrets-scenarios.ts';

export interface ClassOptions {
  /** The provider reports the store's ids, as AWS's does, or a hash of the content, as Vault's. */
  readonly reports?: 'id' | 'hash';
  readonly pods?: readonly string[];
  /** Of the delivery. */
  readonly spec?: object;
  /** Of the pods' container beside its mount. */
  readonly mount?: object;
  readonly objects?: readonly string[];
}

export interface MountedClass {
  readonly cluster: TestCluster;
  readonly namespace: TestNamespace;
  readonly driver: DriverDouble;
  readonly session: DeliverySession;
  open(name: string, clusters?: Clusters): DeliverySession;
  /** What the store gives from now on. */
  publish(id: string, content?: string): void;
  /** A pod that mounts the class; on a node where nothing runs it, unless it shall wait for one. */
  pod(name: string, changes?: object): Promise<void>;
  /** The file that the driver wrote for a pod. */
  file(pod: string): Promise<string>;
  edit(pod: string, content: string): Promise<void>;
  remove(kind: 'SecretProviderClass' | 'Pod', name: string): Promise<void>;
}

/** A SecretProviderClass in a namespace of its own, the driver's double, and pods that are no processes. */
export async function aMountedClass(options: ClassOptions = {}): Promise<MountedClass> {
  const { reports = 'id', pods = ['web-0'], spec = {}, mount = {}, objects = ['shop/db'] } = options;
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  const files = await mkdtemp(join(tmpdir(), 'rotor-class-'));
  const carrying = (id: string, content: string): Stored => {
    const version = reports === 'id' ? id : createHash('sha256').update(`key ${id}`).digest('base64url');
    return { content, versions: Object.fromEntries(objects.map((object) => [object, version])) };
  };
  let stored = carrying('v0', 'v0');
  await install(cluster, [providerClassDefinition, podStatusDefinition]);
  await namespace.create({
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClass',
    metadata: { name: 'db' },
    spec: { provider: 'double', parameters: {} },
  });
  const driver = await startDriverDouble(configOf(cluster), namespace.name, files, () => stored);
  onTestFinished(async () => {
    await driver.stop();
    await namespace.remove();
    await rm(files, { recursive: true, force: true });
  });
  const api = connectApi(configOf(cluster));
  const named = (name: string) => ({ namespace: namespace.name, name });
  const fileOf = async (name: string) => join(files, (await api.get(PODS, named(name))).metadata.uid);
  const mountedBy = async (name: string) => {
    const status = await api.get(POD_STATUSES, named(`${name}-${namespace.name}-db`)).catch((error) => {
      if (statusOf(error) !== 404) throw error;
      return undefined;
    });
    return status !== undefined;
  };
  const pod = async (name: string, changes: object = {}) => {
    await namespace.create(podMounting(name, mount, changes));
    if ('nodeName' in changes) return;
    await expect.poll(() => mountedBy(name), { timeout: 10_000, interval: 10 }).toBe(true);
    await api.patch(PODS, named(name), { status: { phase: 'Running' } }, 'status');
  };
  for (const name of pods) await pod(name);
  const open = (name: string, clusters: Clusters = cluster.clusters) => {
    const delivery = secretProviderClassDelivery({ clusters });
    return delivery.open(delivery.spec.parse({ name, namespace: namespace.name, ...spec }));
  };
  return {
    cluster,
    namespace,
    driver,
    session: open('db'),
    open,
    publish: (id, content = id) => {
      stored = carrying(id, content);
    },
    pod,
    file: async (name) => readFile(await fileOf(name), 'utf8'),
    edit: async (name, content) => writeFile(await fileOf(name), content),
    remove: async (kind, name) => {
      const apiVersion = kind === 'Pod' ? 'v1' : 'secrets-store.csi.x-k8s.io/v1';
      await cluster.api.delete({ apiVersion, kind, metadata: named(name) }, undefined, undefined, 0);
    },
  };
}

/** The kit's: the store gives what is published, and the driver's rotation comes by at once. */
export async function byProviderClass(): Promise<DeliveryScenario> {
  const mounted = await aMountedClass();
  const { session, publish, driver, file, edit, open } = mounted;
  return {
    session: untilArrived(session, async (_call, credential) => {
      publish(credential.versionId, JSON.stringify(Object.fromEntries(valuesOf(credential))));
      await driver.rotate();
    }),
    read: async () => Buffer.from(await file('web-0')),
    // In the pod's volume, which the driver says nothing of.
    tamper: () => edit('web-0', 'by hand'),
    unreachable: open('elsewhere'),
    refusedAs: 'cluster.not-found',
  };
}

function podMounting(name: string, mount: object, changes: object) {
  const csi = { driver: CSI_DRIVER, readOnly: true, volumeAttributes: { secretProviderClass: 'db' } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: 'elsewhere',
      volumes: [{ name: 'db', csi }],
      containers: [
        {
          name: 'web',
          image: 'sandbox/node',
          volumeMounts: [{ name: 'db', mountPath: '/etc/db', readOnly: true, ...mount }],
        },
      ],
      ...changes,
    },
  };
}

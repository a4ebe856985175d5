import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clusters } from '../../core/kubernetes/cluster.ts';
import { CSI_DRIVER } from '../../workers/kubernetes/mounts/decide.ts';
import { podReloadRollout } from '../../workers/rollouts/pod-reload/rollout.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import type { Known, RolloutSession } from '../../workers/rollouts/rollout.ts';
import { configOf, install } from '../doubles/installed.ts';
import { podStatusDefinition } from '../doubles/secrets-store-csi/definition.ts';
import { type DriverDouble, type Stored, startDriverDouble } from '../doubles/secrets-store-csi/driver.ts';
import { aCall } from '../setup/call.ts';
import { testCluster } from '../setup/cluster.ts';
import { aVersion } from '../setup/versions.ts';
import { aShop, deployment, template } from './cluster-scenarios.ts';
import type { RolloutScenario } from './rollouts-scenarios.ts';

export interface Mounting {
  readonly by: 'rolling' | 'podReload';
  /** The provider reports the store's ids, as AWS's does, or a keyed hash of the content, as Vault's. */
  readonly reports: 'id' | 'hash';
  /** Whether the driver's rotation is on. */
  readonly rotates: boolean;
  readonly spec?: object;
  /** How many volumes of the pods are of the class; one when absent. */
  readonly volumes?: number;
}

export interface MountingShop extends RolloutScenario {
  readonly namespace: string;
  readonly driver: DriverDouble;
  /** The store gives that from now on; nobody is told. */
  gives(stored: Stored): void;
  /** As a person who deletes them: their controller makes others of the same template. */
  remakePods(): Promise<void>;
}

/** The shop without any Secret: its pods mount the store through a double of the CSI driver. */
export async function aMountingShop(mounting: Mounting): Promise<MountingShop> {
  const files = await mkdtemp(join(tmpdir(), 'rotor-mounts-'));
  const reported = (id: string) =>
    mounting.reports === 'id' ? id : createHash('sha256').update(`key ${id}`).digest('base64url');
  const carrying = (id: string): Stored => ({ content: id, versions: { 'shop/db': reported(id) } });
  let stored = carrying('v0');
  let known: Known | undefined;
  let driver: DriverDouble | undefined;
  let opened: RolloutSession | undefined;
  let namespace = '';
  /** As the plan does, before anything has changed. */
  const observe = async () => {
    known ??= { before: await opened?.observe?.(aCall(), aVersion('v0')), since: new Date() };
    return known;
  };
  const scenario = await aShop({
    open: (clusters, name) => {
      opened = openBy(mounting, clusters, name);
      return remembering(opened, observe);
    },
    prepare: async (cluster, { name }) => {
      namespace = name;
      await install(cluster, [podStatusDefinition]);
      const started = await startDriverDouble(configOf(cluster), name, files, () => stored);
      driver = started;
      onTestFinished(async () => {
        await started.stop();
        await rm(files, { recursive: true, force: true });
      });
    },
    workload: (reports) => mountingDeployment(reports, files, mounting.volumes),
    proves: mounting.by === 'rolling' ? 'restarted' : 'acknowledged',
    ...(mounting.by === 'podReload' ? { refusedAs: 'pods' as const } : {}),
    deliver: async (_cluster, _namespace, versionId) => {
      stored = carrying(versionId);
      if (mounting.rotates) await driver?.rotate();
    },
    scenario: { otherVersionAs: 'not yet' },
  });
  await observe();
  return {
    ...scenario,
    namespace,
    driver: driver as unknown as DriverDouble,
    gives: (given) => {
      stored = given;
    },
    remakePods: async () => {
      const { api } = await testCluster();
      const { items } = await api.list('v1', 'Pod', namespace);
      for (const pod of items) await api.delete({ ...pod, apiVersion: 'v1', kind: 'Pod' });
    },
  };
}

function openBy({ by, spec: more }: Mounting, clusters: Clusters, namespace: string): RolloutSession {
  const common = { deployment: 'shop', namespace, secretProviderClass: 'shop-db', ...more };
  if (by === 'rolling') {
    const rollout = rollingRollout({ clusters });
    return rollout.open('shop', rollout.spec.parse(common));
  }
  const rollout = podReloadRollout({ clusters });
  const reload = { http: { port: 8080, path: '/reload' } };
  return rollout.open('shop', rollout.spec.parse({ reload, timeout: '4s', ...common }));
}

/** The session with what a rotation's journal would give it. */
function remembering(session: RolloutSession, observe: () => Promise<Known>): RolloutSession {
  return {
    consumer: session.consumer,
    plan: (call) => session.plan(call),
    move: async (call, credential, going) => session.move(call, credential, going, 0, await observe()),
    finish: async (call, credential) => session.finish?.(call, credential, await observe()),
  };
}

function mountingDeployment(reports: string, files: string, count = 1) {
  const made = deployment(reports);
  const csi = { driver: CSI_DRIVER, readOnly: true, volumeAttributes: { secretProviderClass: 'shop-db' } };
  const pods = template(reports, {
    env: [{ name: 'MOUNTS', value: files }],
    volumes: ['db', 'db-2'].slice(0, count).map((name) => ({ name, csi })),
    volumeMounts: [{ name: 'db', mountPath: '/etc/db', readOnly: true }],
  });
  return { ...made, spec: { ...made.spec, template: pods } };
}

export const byMountingAnew = () => aMountingShop({ by: 'rolling', reports: 'hash', rotates: false });
export const byRotatedMounts = () => aMountingShop({ by: 'podReload', reports: 'id', rotates: true });

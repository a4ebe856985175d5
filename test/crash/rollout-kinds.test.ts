import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { startArgoRolloutsDouble } from '../doubles/argo-rollouts/controller.ts';
import { rolloutDefinition } from '../doubles/argo-rollouts/crd.ts';
import { install, running } from '../doubles/installed.ts';
import { startReloaderDouble } from '../doubles/reloader.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { WHOLE } from '../setup/matrix.ts';
import { type Pods, type PodsOptions, startPods, twoPods } from './pods.ts';
import { turnsOf } from './turns.ts';

/** How the pods of a kind are made and moved. */
interface Kind extends PodsOptions {
  readonly spec: object;
  /** The same for pods that are ill, which are given up soon. */
  readonly impatient?: object;
  /** Whether a rollback leaves the very pods of before. */
  readonly samePods: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  argoRollouts: {
    spec: { rollout: 'web', secretName: 'db' },
    workload: (template) => {
      const { strategy: _, ...spec } = twoPods(template).spec;
      const canary = { steps: [{ setWeight: 50 }, { pause: { duration: 1 } }] };
      return {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata: { name: 'web' },
        spec: { ...spec, progressDeadlineSeconds: 6, strategy: { canary } },
      };
    },
    prepare: async (cluster) => {
      await install(cluster, [rolloutDefinition]);
      await running(cluster, startArgoRolloutsDouble);
    },
    samePods: false,
  },
  podReload: {
    spec: {
      deployment: 'web',
      secretName: 'db',
      version: { http: { port: 'http', path: '/version', pointer: '/version' } },
      reload: { http: { port: 'http', path: '/reload' } },
      timeout: '20s',
    },
    impatient: { timeout: '4s' },
    client: 'mounted-client.ts',
    samePods: true,
  },
  delegated: {
    spec: { to: 'reloader', deployment: 'web', secretName: 'db', timeout: '20s' },
    workload: (template) => twoPods(template, { annotations: { 'reloader.stakater.com/auto': 'true' } }),
    prepare: (cluster) => running(cluster, startReloaderDouble),
    samePods: false,
  },
};

/** Kinds that another file of the matrix has. */
const ELSEWHERE = {
  reload: 'crash-matrix.test.ts',
  rolling: 'cluster.test.ts',
  blueGreen: 'cluster.test.ts',
  discovered: 'discovered.test.ts',
};
const POINTS = ['forward:deliver:performed', 'forward:rollout:performed', 'forward:revoke:performed'];

afterAll(stopTestCluster);

test('every registered rollout is in the crash matrix, but for the one that does nothing', () => {
  const registered = rollouts({ allowedCommands: [], clusters: noClusters }).map(({ kind }) => kind);
  const known = [...Object.keys(KINDS), ...Object.keys(ELSEWHERE), 'none'];
  expect(known.sort()).toEqual(registered.sort());
});

describe.each(Object.entries(KINDS))('pods take the credential from a Secret, %s', (name, kind) => {
  let pods: Pods;
  beforeEach(async () => {
    pods = await startPods(kind);
  });
  afterEach(() => pods.stop());

  test.each(turnsOf(POINTS))(
    'workers killed at $at, in turn: another goes on, no pod was refused, and each runs the new version',
    { timeout: 180_000 },
    async ({ points }) => {
      const rotating = pods.rotate(name, kind.spec);
      await pods.killWorkersAt(points);
      const rotation = await rotating;
      expect(rotation, JSON.stringify(rotation.error)).toMatchObject({ state: 'done', recovered: true });
      await pods.expectAllOn(rotation.newVersion ?? '');
      expect(await pods.refusals()).toEqual([]);
    },
  );

  // The sample has the kind whose very pods are to stay.
  if (!WHOLE && !kind.samePods) return;

  test('pods that never move, and a worker killed on the way back: rolled back, nobody was refused', {
    timeout: 240_000,
  }, async () => {
    const before = await pods.running();
    await pods.sicken();
    const doomed = await pods.stage.startWorker({ point: 'back:rollout:announced', signal: 'SIGKILL' });
    const rotating = pods.rotate(name, { ...kind.spec, ...kind.impatient });
    await doomed.exited;
    // What was ill is well with the version of before.
    await pods.heal();
    await pods.stage.startWorker();
    const rotation = await rotating;
    expect(rotation, JSON.stringify(rotation.error)).toMatchObject({
      state: 'rolled-back',
      error: { code: 'rollout.unhealthy' },
    });
    if (kind.samePods) expect(await pods.running()).toEqual(before);
    expect(await pods.refusals()).toEqual([]);
  });
});

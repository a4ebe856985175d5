import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stopTestCluster } from '../setup/cluster.ts';
import { WHOLE } from '../setup/matrix.ts';
import { type Pods, startPods } from './pods.ts';

let pods: Pods;

beforeEach(async () => {
  pods = await startPods();
});
afterEach(() => pods.stop());
afterAll(stopTestCluster);

const strategies = {
  rolling: { deployment: 'web', secretName: 'db' },
  blueGreen: { deployment: 'web', service: 'web', secretName: 'db' },
} as const;

const POINTS = [
  'forward:deliver:performed',
  'forward:rollout:announced',
  'forward:rollout:performed',
  'forward:revoke:performed',
  'forward:prove:performed',
];

describe.each(Object.entries(strategies))(
  'pods of a deployment take the credential from a Secret, %s',
  (kind, spec) => {
    // With workers killed on the way, as below, it is the same and more.
    if (WHOLE)
      test('the rotation is done, no pod was ever refused, and each runs the new version', {
        timeout: 120_000,
      }, async () => {
        await pods.stage.startWorker();
        const rotation = await pods.rotate(kind, spec);
        expect(rotation.state, JSON.stringify(rotation.error)).toBe('done');
        await pods.expectAllOn(rotation.newVersion ?? '');
        expect(await pods.refusals()).toEqual([]);
      });

    test('workers killed at every point that touches the cluster, in turn: it ends done, no pod was refused', {
      timeout: 180_000,
    }, async () => {
      const rotating = pods.rotate(kind, spec);
      await pods.killWorkersAt(POINTS);
      const rotation = await rotating;
      expect(rotation, JSON.stringify(rotation.error)).toMatchObject({ state: 'done', recovered: true });
      await pods.expectAllOn(rotation.newVersion ?? '');
      expect(await pods.refusals()).toEqual([]);
    });

    test('pods that never become ready: rolled back, the Service never led to them, nobody was refused', {
      timeout: 120_000,
    }, async () => {
      await pods.stage.startWorker();
      const before = (await pods.running()).sort();
      await pods.sicken();
      const rotation = await pods.rotate(kind, spec);
      expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'rollout.unhealthy' } });
      expect(rotation.error?.what).toMatch(/deployment .*web/);
      expect(await pods.selector()).toEqual({ app: 'web' });
      // Blue was never touched: the very same pods still serve.
      if (kind === 'blueGreen') expect((await pods.running()).sort()).toEqual(before);
      expect(await pods.refusals()).toEqual([]);
    });
  },
);

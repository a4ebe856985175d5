import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { versionedName } from '../../workers/kubernetes/secret-names.ts';
import { secretReferences } from '../../workers/kubernetes/secret-references.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { sampled } from '../setup/matrix.ts';
import { type Pods, startPods } from './pods.ts';
import { turnsOf } from './turns.ts';

let pods: Pods;

beforeEach(async () => {
  pods = await startPods();
});
afterEach(() => pods.stop());
afterAll(stopTestCluster);

const POINTS = [
  'forward:deliver:performed',
  'forward:rollout:performed',
  'forward:revoke:performed',
  'forward:prove:performed',
];
const versioned = { style: 'versioned' };
const strategies = {
  rolling: { deployment: 'web', secretName: 'db' },
  blueGreen: { deployment: 'web', service: 'web', secretName: 'db' },
} as const;

/** Names of the Secrets in the namespace. */
async function secrets(): Promise<string[]> {
  const { items } = await pods.cluster.api.list('v1', 'Secret', pods.namespace.name);
  return items.map(({ metadata }) => metadata?.name ?? '').sort();
}

/** Names of Secrets that the Deployment's pods will read. */
async function named(): Promise<string[]> {
  const { spec } = await pods.deployment();
  return [...new Set(secretReferences(spec?.template.spec as never).map(({ name }) => name))];
}

describe.each(sampled(Object.entries(strategies), 2))(
  'each version has a Secret of its own, %s',
  (kind, spec) => {
    test('twice in a row: pods read the Secret of their version, and that of the dead one is removed', {
      timeout: 180_000,
    }, async () => {
      await pods.stage.startWorker();
      const first = await pods.rotate(kind, spec, versioned);
      expect(first.state, JSON.stringify(first.error)).toBe('done');
      const second = await pods.rotate(kind, spec, versioned);
      expect(second.state, JSON.stringify(second.error)).toBe('done');
      await pods.expectAllOn(second.newVersion ?? '');
      const current = versionedName('db', second.newVersion ?? '');
      expect(await named()).toEqual([current]);
      // The one that was there before Rotor came is nobody's to remove.
      expect(await secrets()).toEqual(['db', current].sort());
      expect(await pods.refusals()).toEqual([]);
    });

    test.each(turnsOf(POINTS))(
      'workers killed at $at, in turn: another goes on, no pod was refused, nothing is left',
      {
        timeout: 180_000,
      },
      async ({ points }) => {
        const rotating = pods.rotate(kind, spec, versioned);
        await pods.killWorkersAt(points);
        const rotation = await rotating;
        expect(rotation.state, JSON.stringify(rotation.error)).toBe('done');
        await pods.expectAllOn(rotation.newVersion ?? '');
        expect(await named()).toEqual([versionedName('db', rotation.newVersion ?? '')]);
        expect(await secrets()).toEqual(['db', versionedName('db', rotation.newVersion ?? '')].sort());
        expect(await pods.refusals()).toEqual([]);
      },
    );

    test('pods that never become ready: rolled back to the very template of before, the unused Secret is removed', {
      timeout: 180_000,
    }, async () => {
      await pods.stage.startWorker();
      const before = {
        template: (await pods.deployment()).spec?.template,
        running: (await pods.running()).sort(),
      };
      await pods.sicken();
      const rotation = await pods.rotate(kind, spec, versioned);
      expect(rotation).toMatchObject({ state: 'rolled-back', error: { code: 'rollout.unhealthy' } });
      expect(await named()).toEqual(['db']);
      expect(JSON.stringify((await pods.deployment()).spec?.template)).toBe(JSON.stringify(before.template));
      expect((await pods.running()).sort()).toEqual(before.running);
      // A twin's pod that is still being removed may keep its Secret until the next look.
      if (kind === 'rolling')
        expect(await secrets()).not.toContain(versionedName('db', rotation.newVersion ?? ''));
      expect(await pods.refusals()).toEqual([]);
    });
  },
);

import { writeFile } from 'node:fs/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, expect, test } from 'vitest';
import { connectApi } from '../../../sandbox/controllers/client/api.ts';
import type { Going, RolloutSession } from '../../../workers/rollouts/rollout.ts';
import { anArgoShop } from '../../conformance/argo-scenarios.ts';
import { aShop } from '../../conformance/cluster-scenarios.ts';
import { aCall } from '../../setup/call.ts';
import { stopTestCluster, testCluster } from '../../setup/cluster.ts';
import { aVersion } from '../../setup/versions.ts';
import { type ArgoRollout, ROLLOUTS } from './wire.ts';

afterAll(stopTestCluster);

const MANUAL = { canary: { steps: [{ setWeight: 50 }, { pause: {} }] } };
const BLUE_GREEN = {
  blueGreen: {
    activeService: 'active',
    previewService: 'preview',
    autoPromotionEnabled: false,
    scaleDownDelaySeconds: 1,
  },
};

test.each([
  [
    'a canary at a pause without end',
    MANUAL,
    /it pauses at step 2 of 2; to go on: kubectl argo rollouts .*promote shop/,
  ],
  [
    'a preview that is ready',
    BLUE_GREEN,
    /its preview is ready and waits for promotion; to go on: kubectl argo rollouts/,
  ],
])(
  '%s waits for a person, who is told how to promote it, and is never promoted by Rotor',
  async (_, strategy, words) => {
    const shop = await inNamespace(strategy);
    await shop.deliver('v1');
    await expect
      .poll(() => shop.move('forward', 'v1'), { timeout: 20_000 })
      .toMatchObject({
        notYet: expect.stringMatching(words),
      });
    for (let turn = 0; turn < 5; turn += 1)
      expect(await shop.move('forward', 'v1')).toMatchObject({ notYet: expect.stringMatching(words) });
    expect((await shop.rollout()).status).toMatchObject({ phase: 'Paused' });
    // What `kubectl argo rollouts promote` does.
    await shop.patchStatus({ pauseConditions: null });
    await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
    expect(await shop.running()).toBe('v1');
  },
);

test('a canary that degrades is aborted at once, its stable pods were never touched, and it goes back to their template', async () => {
  const shop = await inNamespace({ canary: {} });
  const before = await shop.pods();
  const template = (await shop.rollout()).spec.template;
  await shop.brokenFor('v1');
  await shop.deliver('v1');
  await expect
    .poll(() => shop.move('forward', 'v1').catch((error: Error) => error), { timeout: 30_000 })
    .toMatchObject({
      code: 'rollout.unhealthy',
      message: expect.stringMatching(/rollout .*shop .*ProgressDeadlineExceeded/),
    });
  expect((await shop.rollout()).status).toMatchObject({ abort: true });
  // A worker that was killed before it could write that down asks again.
  await expect(shop.move('forward', 'v1')).rejects.toMatchObject({ code: 'rollout.unhealthy' });
  await shop.deliver('v0');
  await expect.poll(() => shop.move('back', 'v0'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect((await shop.rollout()).spec.template).toEqual(template);
  expect((await shop.rollout()).status).toMatchObject({ phase: 'Healthy', abort: false });
  expect(await shop.pods()).toEqual(before);
});

test('plan refuses a Rollout that is paused by hand, and one whose template is somewhere else', async () => {
  const shop = await inNamespace({ canary: {} });
  await expect(shop.session.plan(aCall())).resolves.toBeUndefined();
  await shop.patch({ paused: true });
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({
    code: 'rollout.unhealthy',
    message: expect.stringMatching(/paused by hand/),
  });
  await shop.patch({
    paused: false,
    workloadRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
  });
  await expect(shop.session.plan(aCall())).rejects.toMatchObject({
    code: 'rollout.unhealthy',
    message: expect.stringMatching(/template from Deployment web/),
  });
});

async function inNamespace(strategy: object) {
  const shop = anArgoShop(strategy);
  let namespace = '';
  let folder = '';
  const scenario = await aShop({
    ...shop,
    open: (clusters, name) => {
      namespace = name;
      return shop.open(clusters, name);
    },
    workload: (reports) => {
      folder = reports;
      return shop.workload?.(reports) ?? {};
    },
  });
  const { api, kubeconfig } = await testCluster();
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const raw = connectApi(config);
  const at = { namespace, name: 'shop' };
  const session: RolloutSession = scenario.session;
  return {
    ...scenario,
    move: (going: Going, versionId: string) => session.move(aCall(), aVersion(versionId), going),
    rollout: (): Promise<ArgoRollout> => raw.get(ROLLOUTS, at),
    patch: (spec: object) => raw.patch(ROLLOUTS, at, { spec }),
    patchStatus: (status: object) => raw.patch(ROLLOUTS, at, { status }, 'status'),
    pods: async () => {
      const { items } = await api.list('v1', 'Pod', namespace);
      return items
        .flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? '']))
        .sort();
    },
    brokenFor: (versionId: string) => writeFile(`${folder}/ill-${versionId}`, ''),
  };
}

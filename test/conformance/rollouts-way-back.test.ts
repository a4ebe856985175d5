import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BLUE, SLOT } from '../../workers/rollouts/blue-green/twin.ts';
import { rollingRollout } from '../../workers/rollouts/rolling/rollout.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { laterSecond } from '../setup/later-second.ts';
import { aVersion } from '../setup/versions.ts';
import { aSet, openTwin, type Shop } from './cluster-scenarios.ts';
import { opened } from './opened-shop.ts';
import { aMountedShop } from './pod-reload-scenarios.ts';

afterAll(stopTestCluster);

const byRolling: Shop = {
  open: (clusters, namespace) => {
    const rollout = rollingRollout({ clusters });
    return rollout.open('shop', rollout.spec.parse({ deployment: 'shop', namespace, secretName: 'db' }));
  },
};

test.each([
  ['rolling', byRolling],
  ['blueGreen', { open: openTwin([], []) }],
])(
  '%s: on the way back a pod that came while the Secret carried the other version is made anew; those that ran all the time are not',
  async (_, kind) => {
    const shop = await opened(kind);
    await laterSecond();
    const known = { before: undefined, since: new Date(), changedSince: new Date() };
    const back = () =>
      shop.session.move(aCall(), aVersion('v0'), 'back', 0, known).catch((error: unknown): unknown => error);
    const pods = await shop.pods();
    await shop.deliver('v1');
    await shop.deliver('v0');
    expect(await back()).toMatchObject({ healthy: true, pods: [{ by: 'untouched' }, { by: 'untouched' }] });
    expect(await shop.pods()).toEqual(pods);

    await shop.deliver('v1');
    await shop.patch({ spec: { replicas: 3 } });
    await expect.poll(() => shop.running(), { timeout: 20_000 }).toBe('v0+v1');
    await shop.deliver('v0');
    expect(await back()).toEqual({
      notYet: expect.stringMatching(/pod shop-\S+ started while the Secret carried the other version/),
    });
    await expect
      .poll(back, { timeout: 30_000 })
      .toMatchObject({ healthy: true, pods: Array(3).fill({ by: 'started-after' }) });
    expect(await shop.running()).toBe('v0');
  },
);

test('on the way back the Service leads to the Deployment alone while a pod of the twin is still there', async () => {
  const shop = await opened({ open: openTwin([], []) });
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  // A cluster removes the pods of what was deleted when it comes to it.
  const remove = await shop.strayPod({ app: 'shop', [SLOT]: 'gone' });
  await shop.deliver('v0');
  await expect
    .poll(() => shop.move('back', 'v0'), { timeout: 20_000 })
    .toEqual({ notYet: expect.stringMatching(/^pod .*\/stray of its twin is about to be removed$/) });
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop', [SLOT]: BLUE });
  expect(await shop.running()).toBe('v0');
  await remove();
  await expect.poll(() => shop.move('back', 'v0'), { timeout: 20_000 }).toMatchObject({ healthy: true });
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop' });
});

test('on the way back a pod is told again though it once took that version: it may have started with the other since', async () => {
  const shop = await opened(aMountedShop('file'));
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  await shop.deliver('v2');
  // As programs do that are started again.
  await expect
    .poll(
      async () => {
        await shop.reloadByHand();
        return shop.running();
      },
      { timeout: 20_000 },
    )
    .toBe('v2');
  await shop.deliver('v1');
  const known = { before: undefined, since: new Date() };
  const back = () =>
    shop.session.move(aCall(), aVersion('v1'), 'back', 0, known).catch((error: unknown): unknown => error);
  await expect.poll(back, { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect(await shop.running()).toBe('v1');
});

test('a StatefulSet comes back though a pod of the new template never became ready, which its controller waits for', async () => {
  let folder = '';
  const shop = await opened({
    open: (clusters, namespace) => {
      const rollout = rollingRollout({ clusters });
      return rollout.open('shop', rollout.spec.parse({ statefulSet: 'shop', namespace, secretName: 'db' }));
    },
    workload: (reports) => {
      folder = reports;
      return aSet(reports);
    },
  });
  await writeFile(join(folder, 'ill-v1'), '');
  await shop.deliver('v1');
  const withV1 = async () => {
    expect(await shop.move('forward', 'v1')).toEqual({ notYet: expect.any(String) });
    return (await readdir(folder)).filter((name) => name !== 'ill-v1').length;
  };
  // The third to have started is the first of the new template.
  await expect.poll(withV1, { timeout: 30_000 }).toBe(3);
  await shop.deliver('v0');
  await expect.poll(() => shop.move('back', 'v0'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect(await shop.running()).toBe('v0');
});

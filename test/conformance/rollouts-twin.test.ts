import { afterAll, expect, onTestFinished, test } from 'vitest';
import { startPrometheusDouble } from '../doubles/prometheus.ts';
import { aCall } from '../setup/call.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { aVersion } from '../setup/versions.ts';
import { openTwin } from './cluster-scenarios.ts';
import { opened } from './opened-shop.ts';

afterAll(stopTestCluster);

const quick = { interval: '10ms' };

test('while the twin waits, pods that the Deployment gets are led to as well, and the twin gets as many', async () => {
  const prometheus = await startPrometheusDouble();
  onTestFinished(() => prometheus.stop());
  prometheus.gives(0.5);
  const gate = { prometheus: { url: prometheus.url, query: 'error_rate', expect: '< 0.01' } };
  const shop = await opened({ open: openTwin([{ ...gate, ...quick, attempts: 1000 }], []) });
  await shop.deliver('v1');
  const atGate = { notYet: expect.stringMatching(/gate prometheus/) };
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toEqual(atGate);
  const before = await shop.reached();
  expect(before).toHaveLength(2);

  await shop.removePod(before[0] ?? '');
  await shop.patch({ spec: { replicas: 3 } });
  await expect
    .poll(
      async () => {
        await shop.move('forward', 'v1');
        return (await shop.reached()).filter((name) => name !== before[0]);
      },
      { timeout: 30_000 },
    )
    .toHaveLength(3);
  expect(await shop.replicas()).toEqual([3, 3]);
  prometheus.gives(0);
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  expect(await shop.reached()).toHaveLength(3);
});

test('the twin is kept until no pod of before is left, those on their way out included', async () => {
  const shop = await opened({ open: openTwin([], []) });
  await shop.deliver('v1');
  await expect.poll(() => shop.move('forward', 'v1'), { timeout: 30_000 }).toMatchObject({ healthy: true });
  const remove = await shop.strayPod({ app: 'shop' });
  const finish = () =>
    shop.session.finish?.(aCall(), aVersion('v1')).catch((error: unknown): unknown => error);
  await expect
    .poll(finish, { timeout: 30_000 })
    .toEqual({ notYet: expect.stringMatching(/pod stray of before is still there/) });
  expect(await shop.replicas()).toHaveLength(2);
  await remove();
  await expect.poll(finish, { timeout: 30_000 }).toBeUndefined();
  expect(await shop.replicas()).toHaveLength(1);
  expect((await shop.service()).spec?.selector).toEqual({ app: 'shop' });
});

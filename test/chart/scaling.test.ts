import { describe, expect, inject, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { openQueue } from '../../workers/queue/queue.ts';
import { freshLedger, queuedRotation } from '../setup/ledger.ts';
import { startSingleRedis } from '../setup/redis.ts';
import { render, skippedWithoutHelm, the } from './helm.ts';

const skipped = skippedWithoutHelm('what the chart scales by');
const redis = inject('redis');
const withoutRedis = 'skipped' in redis;

/** The metadata of the one trigger that KEDA is given. */
async function triggerOf(keda: object): Promise<Readonly<Record<string, string>>> {
  const objects = await render({ values: { worker: { autoscaling: { kind: 'keda', keda } } } });
  return the(objects, 'ScaledObject').spec.triggers[0].metadata;
}

describe.skipIf(skipped)('KEDA', () => {
  test('asks the ledger for the rotations that could run now', async () => {
    const { query } = await triggerOf({ trigger: 'postgresql' });
    const { ledger, drop } = await freshLedger();
    const count = async () => (await ledger.query<{ count: number }>(query ?? ''))[0]?.count;
    expect(await count()).toBe(0);
    await queuedRotation(ledger);
    const { id: asleep } = await queuedRotation(ledger);
    expect(await count()).toBe(2);
    const later = `UPDATE rotor.rotations SET wake_at = clock_timestamp() + interval '1 hour' WHERE id = $1`;
    await ledger.query(later, [asleep]);
    expect(await count()).toBe(1);
    await ledger.query(`UPDATE rotor.rotations SET state = 'needs-human'`);
    expect(await count()).toBe(0);
    await drop();
  });

  test.skipIf(withoutRedis)('measures the list where the queue keeps what nobody has taken yet', async () => {
    const { listName = '' } = await triggerOf({ trigger: 'redis', redis: { addresses: 'a:6379' } });
    const server = await startSingleRedis({ password: 'x' });
    const queue = await openQueue({ url: SecretValue.of(server.url), log: silentLog });
    try {
      const length = async () => (await server.keeper()).ask('LLEN', listName);
      expect(await length()).toBe(0);
      for (const id of ['a', 'b', 'c']) await queue.wake(id, 'now');
      await queue.wake('d', 'later', 3_600_000);
      expect(await length()).toBe(3);
    } finally {
      await queue.close();
      await server.stop();
    }
  });
});

import { randomUUID } from 'node:crypto';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { startWorkerHost } from '../../workers/host.ts';
import { openQueue } from '../../workers/queue/queue.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import { policiesFor } from './empty-saga.ts';
import { MEMORY_SPEC, memoryParts } from './memory-parts.ts';

/** (b) Rotations of ten steps through queue and worker host, parts that take no time. @returns rotations a second */
export async function throughput(
  ledger: Ledger,
  queueUrl: string,
  count: number,
  concurrency: number,
): Promise<number> {
  const url = SecretValue.of(queueUrl);
  const queueName = `bench-${randomUUID()}`;
  const queue = await openQueue({ url, log: silentLog, name: queueName });
  const policies = await policiesFor(ledger, count);
  const ids = policies.map(() => randomUUID());
  const host = await startWorkerHost({
    saga: {
      ledger,
      registries: memoryParts(),
      fingerprintKey: SecretValue.of('bench'),
      clock: systemClock,
      random: cryptoRandom,
      log: silentLog,
      faults: noFaults,
      worker: 'bench',
      leaseMs: 30_000,
    },
    queueUrl: url,
    queueName,
    concurrency,
    sweepMs: 2_000,
  });
  const startedAt = performance.now();
  await Promise.all(
    ids.map(async (id, index) => {
      const policyUid = policies[index] as string;
      await createRotation(ledger, {
        id,
        policyUid,
        trigger: 'manual',
        requestedBy: 'bench',
        spec: MEMORY_SPEC,
        deadlineMs: 600_000,
      });
      await queue.wake(id, 'start');
    }),
  );
  for (;;) {
    const [row] = await ledger.query<{ open: number }>(
      'SELECT count(*)::integer AS open FROM rotor.rotations WHERE id = ANY ($1) AND holds IS NOT NULL',
      [ids],
    );
    if (row?.open === 0) break;
    await systemClock.sleep(20);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await host.close();
  await queue.close();
  return count / seconds;
}

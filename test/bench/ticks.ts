import { randomUUID } from 'node:crypto';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import type { Ledger } from '../../ledger/database.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { type SchedulerOptions, tick } from '../../orchestrator/scheduler/scheduler.ts';
import { MEMORY_SPEC } from './memory-parts.ts';
import { median } from './rotation.ts';

const DUE = 100;

/** (d) A scheduler's tick with that many policies. @returns milliseconds with none due and with a hundred due */
export async function tickWith(ledger: Ledger, policies: number): Promise<{ none: number; due: number }> {
  await ledger.query('TRUNCATE rotor.policies, rotor.rotations CASCADE');
  await ledger.query(
    `INSERT INTO rotor.policies (uid, namespace, name, spec, next_due_at)
     SELECT gen_random_uuid(), 'bench', 'p' || n, '{}', now() + interval '1 day' + n * interval '1 second'
       FROM generate_series(1, $1::integer) AS n`,
    [policies],
  );
  await ledger.query('VACUUM ANALYZE rotor.policies');
  const options: SchedulerOptions = {
    ledger,
    clock: systemClock,
    log: silentLog,
    nextDue: async () => {
      const at = new Date(Date.now() + 86_400_000);
      return { at, planned: at, reason: 'bench' };
    },
    start: async (transaction, policy) => {
      const id = randomUUID();
      const created = await createRotation(transaction, {
        id,
        policyUid: policy.uid,
        trigger: 'schedule',
        requestedBy: 'bench',
        spec: MEMORY_SPEC,
        deadlineMs: 600_000,
      });
      return created ? id : undefined;
    },
    wake: async () => undefined,
  };
  const timeOf = async () => {
    const startedAt = performance.now();
    await tick(options);
    return performance.now() - startedAt;
  };
  for (let warm = 0; warm < 10; warm += 1) await timeOf();
  const none: number[] = [];
  for (let run = 0; run < 31; run += 1) none.push(await timeOf());
  const due: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    await ledger.query(
      `UPDATE rotor.policies SET next_due_at = now() WHERE uid IN (
         SELECT uid FROM rotor.policies p WHERE NOT EXISTS (SELECT FROM rotor.rotations r WHERE r.policy_uid = p.uid) LIMIT $1)`,
      [DUE],
    );
    due.push(await timeOf());
  }
  return { none: median(none), due: median(due) };
}

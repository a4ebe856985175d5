import { randomUUID } from 'node:crypto';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { runRotation, type Saga } from '../../workers/saga/engine.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import type { StepTable } from '../../workers/saga/steps.ts';
import { MEMORY_SPEC, memoryParts } from './memory-parts.ts';

const empty = { perform: async () => ({ facts: {} }) };
/** Six steps that do nothing: what is left is the engine and its journal. */
const SIX: StepTable = {
  plan: empty,
  generate: empty,
  install: empty,
  verify: { ...empty, readsOnly: true },
  publish: empty,
  deliver: empty,
};

/** Runs `count` sagas of six empty steps through Rotor's engine. @returns milliseconds */
export async function runEmptySagas(ledger: Ledger, count: number, concurrency: number): Promise<number> {
  const saga: Saga = {
    ledger,
    registries: memoryParts(),
    fingerprintKey: SecretValue.of('bench'),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    faults: noFaults,
    steps: SIX,
    worker: 'bench',
    leaseMs: 30_000,
  };
  const policies = await policiesFor(ledger, count);
  return timed(count, concurrency, async (index) => {
    const id = randomUUID();
    const policyUid = policies[index] as string;
    await createRotation(ledger, {
      id,
      policyUid,
      trigger: 'manual',
      requestedBy: 'bench',
      spec: MEMORY_SPEC,
      deadlineMs: 600_000,
    });
    const outcome = await runRotation(saga, id);
    if (outcome.state !== 'done') throw new Error(`a benchmark saga ended ${outcome.state}`);
  });
}

export async function policiesFor(ledger: Ledger, count: number): Promise<string[]> {
  const uids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const { uid } = await applyPolicy(ledger, {
      uid: randomUUID(),
      namespace: 'bench',
      name: `p-${randomUUID()}`,
      spec: {},
    });
    uids.push(uid);
  }
  return uids;
}

/** Runs `work` `count` times, `concurrency` at once. @returns milliseconds in all */
export async function timed(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<number> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: concurrency }, lane));
  return performance.now() - startedAt;
}

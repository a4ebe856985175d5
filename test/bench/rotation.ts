import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import { decodeCredential, encodeCredential } from '../../core/credential.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { rotators } from '../../rotators/registry.ts';
import { makeShop } from '../../sandbox/demo/shop.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { runRotation } from '../../workers/saga/engine.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import { openParts, type Registries } from '../../workers/saga/parts.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { policiesFor } from './empty-saga.ts';

/** (a) A full rotation through the engine, and the bare sequence of the same calls. @returns medians in milliseconds */
export async function compareRotation(
  ledger: Ledger,
  superuserUrl: string,
  folder: string,
  runs: number,
): Promise<{ rotor: number; bare: number }> {
  const shop = await makeShop(superuserUrl, folder);
  const registries: Registries = {
    rotators,
    stores: stores({ keyring: Keyring.generate() }),
    deliveries: deliveries({ clusters: noClusters }),
    rollouts: [],
  };
  const provider = {
    hosts: [{ host: shop.host, port: shop.port }],
    database: 'shop',
    admin: { username: 'shop_rotor', passwordFrom: { file: shop.adminFile } },
  };
  const spec: RotationSpec = {
    rotator: {
      kind: 'postgres',
      provider,
      credential: { mode: 'alternating-users', roles: shop.web.roles, owner: 'shop_owner' },
    },
    store: { kind: 'local', spec: { path: join(folder, 'store') }, path: 'shop/db' },
    initialFrom: { file: shop.web.initialFile },
    deliver: [{ kind: 'file', spec: { path: join(folder, 'credential.json'), format: 'json' } }],
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 60_000, onTimeout: 'roll-back' },
  };
  const [policyUid = ''] = await policiesFor(ledger, 1);
  const throughRotor = () => rotate(ledger, registries, spec, policyUid);
  const withoutRotor = () => bareSequence(ledger, registries, spec);
  const rotor: number[] = [];
  const bare: number[] = [];
  for (let run = -2; run < runs; run += 1) {
    const [one, two] = [await timeOf(throughRotor), await timeOf(withoutRotor)];
    if (run >= 0) {
      rotor.push(one);
      bare.push(two);
    }
  }
  return { rotor: median(rotor), bare: median(bare) };
}

async function rotate(
  ledger: Ledger,
  registries: Registries,
  spec: RotationSpec,
  policyUid: string,
): Promise<void> {
  const id = randomUUID();
  await createRotation(ledger, {
    id,
    policyUid,
    trigger: 'manual',
    requestedBy: 'bench',
    spec,
    deadlineMs: 600_000,
  });
  const saga = {
    ledger,
    registries,
    fingerprintKey: SecretValue.of('bench'),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    faults: noFaults,
    worker: 'bench',
    leaseMs: 30_000,
  };
  const { state } = await runRotation(saga, id);
  if (state !== 'done') throw new Error(`a benchmark rotation ended ${state}`);
}

/** The same logins, statements and file operations in the same order, with neither journal nor lease nor undo. */
async function bareSequence(ledger: Ledger, registries: Registries, spec: RotationSpec): Promise<void> {
  const parts = openParts(spec, registries);
  const { rotator, store } = parts;
  const { path } = spec.store;
  // Role and store remember the fences of the rotations in between.
  const [next] = await ledger.query<{ fence: bigint }>(`SELECT nextval('rotor.fence') AS fence`);
  const call = (): Call => ({
    deadline: Deadline.after(15_000),
    fence: next?.fence ?? 0n,
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
  });
  try {
    const current = await store.read(call(), path, 'current');
    if (!current) throw new Error('the benchmark has no current credential');
    const old = decodeCredential(current.versionId, current.document, rotator.format);
    await rotator.plan(call(), old);
    const fresh = await rotator.generate(call(), randomUUID(), old);
    await store.stage(call(), path, fresh.versionId, encodeCredential(fresh));
    await store.read(call(), path, 'pending');
    await rotator.install(call(), fresh, old);
    await rotator.attempt(call(), fresh);
    await store.promote(call(), path, fresh.versionId, old.versionId);
    await store.read(call(), path, 'current');
    for (const delivery of parts.deliveries) {
      await delivery.deliver(call(), fresh);
      await delivery.holds(call(), fresh);
    }
    await rotator.usage(call(), old, new Date());
    await rotator.revoke(call(), old, fresh, new Date());
    await rotator.attempt(call(), fresh);
    await rotator.attempt(call(), old);
  } finally {
    await parts.close();
  }
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

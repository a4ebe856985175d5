import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { Clusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { type DriftView, driftOf, hurryDriftCheck, watchDrift } from '../../ledger/drift.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation, getRotation, type Rotation } from '../../ledger/rotations.ts';
import { rotators } from '../../rotators/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { patrol } from '../../workers/drift/patrol.ts';
import { followSecrets } from '../../workers/kubernetes/followed-secrets.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { runRotation, type Saga } from '../../workers/saga/engine.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { allStores } from '../../workers/stageless/stores.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';

/** A policy that was rotated once, with its deliveries, and the means to look at them. */
export interface Drifting {
  readonly test: TestLedger;
  readonly policyUid: string;
  /** The version that was delivered last. */
  version(): string;
  /** Rotates again, to the end. */
  rotate(): Promise<Rotation>;
  /** A rotation that stays open. */
  open(): Promise<void>;
  /** Changes the policy; what a rotation works by stays. */
  apply(change: object): Promise<void>;
  /** A worker's next turn: looks only where the ledger says that it is time. @returns how many policies it looked at */
  turn(): Promise<number>;
  /** Resolves when the worker follows what is delivered into a namespace. */
  follows(namespace: string): Promise<void>;
  /** The next look, now, by a worker with these clusters. */
  look(clusters?: Clusters): Promise<DriftView>;
  audit(): Promise<readonly { action: string; actor: string; detail: { target?: string; what?: string } }[]>;
}

export async function aRotatedPolicy(
  clusters: Clusters,
  deliver: RotationSpec['deliver'],
  changes: Partial<RotationSpec> = {},
): Promise<Drifting> {
  const test = await freshLedger();
  const folder = await mkdtemp(join(tmpdir(), 'rotor-drift-'));
  const keyring = Keyring.generate();
  const followed = followSecrets((versionId) => hurryDriftCheck(test.ledger, versionId));
  onTestFinished(async () => {
    await followed.close();
    await test.drop();
    await rm(folder, { recursive: true, force: true });
  });
  const sagaWith = (opened: Clusters): Saga => ({
    ledger: test.ledger,
    registries: {
      rotators,
      stores: allStores({ keyring, ledger: test.ledger }),
      deliveries: deliveries({ clusters: opened, followed }),
      rollouts: rollouts({ allowedCommands: [], clusters: opened }),
    },
    fingerprintKey: SecretValue.of('drift'),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    faults: noFaults,
    worker: 'test',
    leaseMs: 30_000,
  });
  const spec: RotationSpec = {
    rotator: { kind: 'random', credential: { value: { length: 24 } } },
    store: { kind: 'local', spec: { path: join(folder, 'store') }, path: 'shop/key' },
    deliver,
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 5_000, onTimeout: 'roll-back' },
    ...changes,
  };
  const named = { uid: randomUUID(), namespace: 'test', name: 'key' };
  const { uid: policyUid } = await applyPolicy(test.ledger, { ...named, spec: { deliver, drift: 'repair' } });
  const create = async () => {
    const id = randomUUID();
    const created = {
      id,
      policyUid,
      trigger: 'manual' as const,
      requestedBy: 'test',
      spec,
      deadlineMs: 60_000,
    };
    await createRotation(test.ledger, created);
    return id;
  };
  let version = '';
  const drifting: Drifting = {
    test,
    policyUid,
    version: () => version,
    rotate: async () => {
      const id = await create();
      await runRotation(sagaWith(clusters), id);
      const rotation = await getRotation(test.ledger, id);
      version = rotation.newVersion ?? '';
      return rotation;
    },
    open: async () => {
      await create();
    },
    apply: async (change) => {
      await applyPolicy(test.ledger, { ...named, spec: { deliver, drift: 'repair', ...change } });
    },
    follows: async (namespace) => followed.follow(aCall(), await clusters.open(undefined), namespace),
    turn: () => patrol(sagaWith(clusters), 600_000),
    look: async (opened = clusters) => {
      await watchDrift(test.ledger, [policyUid], ['sealedSecrets']);
      await hurryDriftCheck(test.ledger, version);
      await patrol(sagaWith(opened), 600_000);
      const view = (await driftOf(test.ledger, [policyUid])).get(policyUid);
      if (!view) throw new Error('the policy is not looked at');
      return view;
    },
    audit: async () =>
      test.ledger.query("SELECT action, actor, detail FROM rotor.audit WHERE actor = 'drift' ORDER BY id"),
  };
  await drifting.rotate();
  return drifting;
}

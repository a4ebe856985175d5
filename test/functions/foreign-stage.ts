import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { systemClock } from '../../core/clock.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Desks, secretDesks } from '../../functions/desks.ts';
import { readJournal } from '../../ledger/journal.ts';
import { getRotation, type Rotation, resumeRotation } from '../../ledger/rotations.ts';
import { listVersions, markCompromised } from '../../ledger/versions.ts';
import type { SecretDesk } from '../../rotators/function/secret-desk.ts';
import { rotators } from '../../rotators/registry.ts';
import type { StoreSession } from '../../stores/store.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { runRotation, type Saga } from '../../workers/saga/engine.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, queuedRotation } from '../setup/ledger.ts';
import { moto } from '../setup/moto.ts';
import { aDatabase, type Stage as Database } from './database.ts';
import type { Secrets } from './stage.ts';

export const ADMIN_ARN = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-a1b2c3';
/** With boto3, which moto's environment has. */
export const PYTHON = join(moto.bin, 'python');
export const ROTATION_PY = fileURLToPath(new URL('python/rotation.py', import.meta.url));
const PATH = 'shop/app';

export interface ForeignStage {
  readonly database: Database;
  readonly spec: RotationSpec;
  readonly store: StoreSession;
  readonly folder: string;
  /** The document that the first rotation starts from. */
  readonly initial: Record<string, unknown>;
  /** What the consumers hold. */
  held(): Promise<Record<string, unknown>>;
  /** The store's document of a stage. */
  stored(stage: 'current' | 'previous'): Promise<Record<string, unknown>>;
  /** One rotation to its end. @param faults told of each point that it comes by */
  rotate(changes?: Partial<RotationSpec>, faults?: (point: string) => Promise<void>): Promise<Ended>;
  /** A rotation that asked a human is let go on, and runs to its end. */
  resume(id: string, by: string, takenOver?: boolean): Promise<Ended>;
  /** From now on the first credential counts as leaked. */
  leak(): Promise<void>;
  drop(): Promise<void>;
}

export interface Ended {
  readonly rotation: Rotation;
  readonly journal: string;
  /** States of the policy's versions, newest first. */
  readonly versions: readonly string[];
}

export interface ForeignOptions {
  readonly open: () => StoreSession;
  /** Where the admin's secret is, for a function that looks for it at AWS. */
  readonly secrets?: Pick<Secrets, 'create'>;
  readonly mode?: 'single-user' | 'alternating-users';
  /** In place of the handler in Python. */
  readonly provider?: object;
  readonly allowed?: readonly (readonly string[])[];
  /** Changes what functions reach. */
  readonly through?: (desk: SecretDesk) => SecretDesk;
  readonly desks?: Desks;
}

/** An application in PostgreSQL whose credential a function of somebody else rotates, and a store that it lives in. */
export async function aForeignStage(options: ForeignOptions): Promise<ForeignStage> {
  const { mode = 'alternating-users', open, through = (desk) => desk } = options;
  const [database, ledger] = await Promise.all([
    aDatabase(options.secrets ?? { create: async () => ADMIN_ARN }),
    freshLedger(),
  ]);
  const { user, clone } = database;
  await database.sql(
    `CREATE ROLE ${clone} LOGIN IN ROLE ${user}; GRANT ${clone} TO ${user.slice(0, -4)}_admin WITH ADMIN OPTION`,
  );
  const folder = await mkdtemp(join(tmpdir(), 'rotor-foreign-'));
  const initial = database.secretOf(mode === 'single-user' ? {} : { masterarn: database.adminSecret });
  const [initialFile, deliveredFile, adminSecretFile] = ['initial', 'delivered', 'admin'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const admin = { ...initial, username: `${user.slice(0, -4)}_admin`, password: 'admin-password' };
  await writeFile(initialFile, JSON.stringify(initial), { mode: 0o600 });
  await writeFile(deliveredFile, JSON.stringify(initial), { mode: 0o600 });
  await writeFile(adminSecretFile, JSON.stringify(admin), { mode: 0o600 });
  const desks = options.desks ?? secretDesks({ listen: { host: '127.0.0.1', port: 0 }, log: silentLog });
  const store = open();
  const saga: Saga = {
    ledger: ledger.ledger,
    registries: {
      rotators,
      stores: [{ kind: 'scenario', spec: z.unknown(), open }],
      deliveries: deliveries({ clusters: noClusters }),
      rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
      functions: {
        desks: { at: (session, path) => through(desks.at(session, path)) },
        allowedCommands: options.allowed ?? [[PYTHON, ROTATION_PY]],
      },
    },
    fingerprintKey: SecretValue.of('foreign-functions'),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    faults: { reach: async () => undefined },
    worker: 'test',
    leaseMs: 30_000,
  };
  const spec: RotationSpec = {
    rotator: {
      kind: 'function',
      provider: {
        timeout: '20s',
        adminSecretFile,
        ...(options.provider ?? { python: { interpreter: PYTHON, file: ROTATION_PY } }),
      },
      credential: mode === 'single-user' ? { mode, acknowledgeNoOverlap: true } : { mode },
    },
    store: { kind: 'scenario', spec: {}, path: PATH },
    initialFrom: { file: initialFile },
    deliver: [{ kind: 'file', spec: { path: deliveredFile, format: 'json' } }],
    consumers: [],
    settle: { graceMs: 0, evidence: 'time-only', timeoutMs: 5_000, onTimeout: 'roll-back' },
  };
  let policyUid: string | undefined;
  const toItsEnd = async (id: string, faults?: (point: string) => Promise<void>): Promise<Ended> => {
    const armed = faults ? { ...saga, faults: { reach: faults } } : saga;
    for (;;) {
      const outcome = await runRotation(armed, id);
      if (outcome.state === 'waiting') await systemClock.sleep(Math.min(outcome.wakeInMs + 5, 500));
      else if (outcome.state === 'let-go' || outcome.state === 'not-claimed') await systemClock.sleep(50);
      else break;
    }
    const rows = await readJournal(ledger.ledger, id);
    return {
      rotation: await getRotation(ledger.ledger, id),
      journal: rows
        .map(({ direction, step, event, facts }) => `${direction} ${step} ${event} ${JSON.stringify(facts)}`)
        .join('\n'),
      versions: (await listVersions(ledger.ledger, policyUid ?? '')).map(({ state }) => state),
    };
  };
  return {
    database,
    spec,
    store,
    folder,
    initial,
    held: async () => JSON.parse(await readFile(deliveredFile, 'utf8')),
    stored: async (stage) => {
      const found = await store.read(aCall({ fence: 2n ** 62n }), PATH, stage);
      return JSON.parse(found?.document.reveal() ?? '{}');
    },
    rotate: async (changes = {}, faults) => {
      const queued = await queuedRotation(ledger.ledger, { ...spec, ...changes }, { deadlineMs: 60_000 });
      policyUid = queued.policyUid;
      return toItsEnd(queued.id, faults);
    },
    resume: async (id, by, takenOver) => {
      await resumeRotation(ledger.ledger, id, by, 60_000, takenOver);
      return toItsEnd(id);
    },
    leak: async () => {
      const first = (await listVersions(ledger.ledger, policyUid ?? '')).at(-1);
      await markCompromised(ledger.ledger, first ? [{ id: first.id }] : []);
    },
    drop: async () => {
      await store.close();
      if (!options.desks) await desks.close();
      await ledger.drop();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

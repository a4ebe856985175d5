import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../../core/log.ts';
import { createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { readJournal } from '../../ledger/journal.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation, getRotation, type Rotation } from '../../ledger/rotations.ts';
import { openQueue, type RotationQueue } from '../../workers/queue/queue.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { allStores } from '../../workers/stageless/stores.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { WHOLE } from '../setup/matrix.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import { type LiveClient, startLiveClient } from './live-client.ts';
import type { WorkerConfig } from './worker.ts';

export interface StartedWorker {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Everything it wrote. */
  output(): string;
  exited: Promise<NodeJS.Signals | null>;
}

/** A ledger, an application under load, a queue, and worker processes on demand: what every crash needs. */
export interface Stage {
  readonly app: Application;
  readonly client: LiveClient;
  readonly test: TestLedger;
  readonly queue: RotationQueue;
  readonly spec: RotationSpec;
  readonly storeFolder: string;
  readonly deliveredFile: string;
  /** @param spawned hears of it at once: it may act before it has said that it is ready */
  startWorker(
    fault?: WorkerConfig['fault'],
    spawned?: (worker: StartedWorker) => void,
  ): Promise<StartedWorker>;
  startRotation(spec?: Partial<RotationSpec>): Promise<string>;
  /** Waits until a rotation is done, rolled back or needs a human. */
  ended(id: string): Promise<Rotation>;
  journal(id: string): Promise<string>;
  /** The store's current version; undefined while it has none. */
  stored(): Promise<{ readonly versionId: string; readonly document: Document } | undefined>;
  storedPassword(): Promise<string>;
  stop(): Promise<void>;
}

type Document = Readonly<Record<string, string>>;

export const LEASE_MS = 1_000;

export interface StageOptions {
  /** Connection string of a superuser of the server for application and ledger; the shared one when absent. */
  readonly server?: string;
  /** Port of a proxy by which workers reach the ledger. */
  readonly ledgerPort?: number;
  readonly storeFolder?: string;
  /** Where versions are kept; a folder when absent. */
  readonly store?: RotationSpec['store'];
  /** Where workers serve the API for rotation functions. */
  readonly functionsPort?: number;
  /** Leases of the dead run out by time alone, as in the whole matrix; in the sample they end with them, and the next needn't wait. */
  readonly leasesByTime?: boolean;
}

export async function setStage(
  backend: (ledgerUrl: string) => string,
  options: StageOptions = {},
): Promise<Stage> {
  const [app, test] = await Promise.all([anApplication(options.server), freshLedger(options.server)]);
  const deliveredFile = join(app.folder, 'credential.json');
  const document = {
    engine: 'postgres',
    host: '127.0.0.1',
    port: String(app.port),
    dbname: app.name,
    ...app.initial,
  };
  const initialFile = join(app.folder, 'initial.json');
  await writeFile(initialFile, JSON.stringify(document), { mode: 0o600 });
  await writeFile(deliveredFile, JSON.stringify({ ...document, versionId: 'v0' }), { mode: 0o600 });
  await chmod(app.folder, 0o700);
  const keyFile = join(app.folder, 'key');
  await createKeyFile(keyFile);
  const client = await startLiveClient(deliveredFile);
  const queueUrl = backend(test.url.reveal());
  const queueName = `crash-${randomUUID()}`;
  const queue = await openQueue({ url: SecretValue.of(queueUrl), log: silentLog, name: queueName });
  const storeFolder = options.storeFolder ?? join(app.folder, 'store');
  const spec: RotationSpec = {
    rotator: {
      kind: 'postgres',
      provider: app.provider(),
      credential: { mode: 'alternating-users', roles: app.roles, owner: app.owner },
    },
    store: options.store ?? { kind: 'local', spec: { path: storeFolder }, path: 'shop/app' },
    initialFrom: { file: initialFile },
    deliver: [{ kind: 'file', spec: { path: deliveredFile, format: 'json' } }],
    consumers: [
      {
        name: 'live-client',
        kind: 'reload',
        spec: {
          via: { http: { url: `${client.url}/reload`, method: 'POST' } },
          health: { http: { url: `${client.url}/health`, versionPointer: '/version' } },
          healthTimeout: '1s',
          healthInterval: '50ms',
        },
      },
    ],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 30_000, onTimeout: 'roll-back' },
  };
  const ledgerUrl = new URL(test.url.reveal());
  if (options.ledgerPort) ledgerUrl.port = String(options.ledgerPort);
  const byTime = options.leasesByTime ?? (WHOLE || options.server !== undefined);
  const workers: StartedWorker[] = [];
  let policyUid: string | undefined;
  const waitedFor = new Map<string, Promise<Rotation>>();
  const untilEnded = async (id: string): Promise<Rotation> => {
    for (let tries = 0; tries < 2_400; tries += 1) {
      const rotation = await getRotation(test.ledger, id);
      if (['done', 'rolled-back', 'needs-human'].includes(rotation.state)) return rotation;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`rotation ${id} did not end:\n${await stage.journal(id)}`);
  };

  const stage: Stage = {
    app,
    client,
    test,
    queue,
    spec,
    storeFolder,
    deliveredFile,
    startWorker: async (fault, spawned) => {
      const config: WorkerConfig = {
        databaseUrl: ledgerUrl.href,
        queueUrl,
        queueName,
        keyFile,
        leaseMs: LEASE_MS,
        sweepMs: 100,
        functionsPort: options.functionsPort ?? 0,
        ...(fault ? { fault } : {}),
      };
      const file = join(app.folder, `worker-${randomUUID()}.json`);
      await writeFile(file, JSON.stringify(config), { mode: 0o600 });
      const worker = spawnWorker(file, (pid) => (byTime ? undefined : endLeaseOf(test, pid)));
      workers.push(worker.started);
      spawned?.(worker.started);
      await worker.ready;
      return worker.started;
    },
    startRotation: async (changes = {}) => {
      policyUid ??= (
        await applyPolicy(test.ledger, { uid: randomUUID(), namespace: 'test', name: 'app', spec: {} })
      ).uid;
      const id = randomUUID();
      await createRotation(test.ledger, {
        id,
        policyUid,
        trigger: 'manual',
        requestedBy: 'test',
        spec: { ...spec, ...changes },
        deadlineMs: 120_000,
      });
      await queue.wake(id, 'start');
      return id;
    },
    ended: (id) => {
      // Who asks again while it goes on, for each worker for instance, waits with those who asked before.
      const waiting = waitedFor.get(id) ?? untilEnded(id).finally(() => waitedFor.delete(id));
      waitedFor.set(id, waiting);
      return waiting;
    },
    journal: async (id) => {
      const rows = await readJournal(test.ledger, id);
      return rows
        .map(
          (row) =>
            `${row.seq} ${row.epoch} ${row.direction} ${row.step} ${row.event} ${JSON.stringify(row.facts)}`,
        )
        .join('\n');
    },
    stored: async () => {
      const kinds = allStores({ keyring: await loadKeyring(keyFile), ledger: test.ledger });
      const kind = kinds.find((each) => each.kind === spec.store.kind);
      const session = kind?.open(kind.spec.parse(spec.store.spec));
      const current = await session?.read(aCall(), spec.store.path, 'current');
      await session?.close();
      return (
        current && {
          versionId: current.versionId,
          document: JSON.parse(current.document.reveal()) as Document,
        }
      );
    },
    storedPassword: async () => (await stage.stored())?.document.password ?? '',
    stop: async () => {
      for (const worker of workers) worker.process.kill('SIGKILL');
      await Promise.all(workers.map((worker) => worker.exited));
      await client.stop();
      await queue.close();
      await test.drop();
      await app.drop();
    },
  };
  return stage;
}

/**
 * What a dead worker held is free for the next at once. It was killed between two calls, so nothing of it is under way that
 * the rest of its lease would have to cover.
 */
async function endLeaseOf({ ledger }: TestLedger, pid: number): Promise<void> {
  const sql = `UPDATE rotor.rotations SET lease_until = clock_timestamp() WHERE worker = $1 AND lease_until > clock_timestamp()`;
  await ledger.query(sql, [`pid-${pid}`]).catch(() => undefined);
}

/** @param buried what follows its death by SIGKILL, before anybody hears of it */
function spawnWorker(
  configFile: string,
  buried: (pid: number) => Promise<void> | undefined,
): { started: StartedWorker; ready: Promise<void> } {
  const script = fileURLToPath(new URL('worker.ts', import.meta.url));
  const child = spawn(process.execPath, [script, configFile], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let isReady: () => void;
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', async (_code, signal) => {
      if (signal === 'SIGKILL') await buried(child.pid ?? 0);
      resolve(signal);
    }),
  );
  const ready = new Promise<void>((resolve, reject) => {
    isReady = resolve;
    child.on('exit', (_code, signal) => {
      // One that kills itself at a point may come by it before it has said that it is ready.
      if (signal === 'SIGKILL') resolve();
      else reject(new Error(`a worker ended before it was ready:\n${output}`));
    });
  });
  ready.catch(() => undefined);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('ready\n')) isReady();
    });
  }
  return { started: { process: child, pid: child.pid ?? 0, output: () => output, exited }, ready };
}

/** Whether a process has stopped after SIGSTOP. */
export async function isStopped(pid: number): Promise<boolean> {
  return /\) T /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
}

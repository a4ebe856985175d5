/**
 * A process that answers incidents, orchestrator and worker in one, which kills itself at the first of some points:
 *   node responder.ts <configuration file>
 */
import { appendFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { systemClock } from '../../core/clock.ts';
import { RotorError } from '../../core/errors.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { createLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { openLedger } from '../../ledger/database.ts';
import { approveIncident } from '../../orchestrator/incidents/approve.ts';
import { followIncidents } from '../../orchestrator/incidents/follow.ts';
import { sendMessages } from '../../orchestrator/incidents/notify.ts';
import { workRunbooks } from '../../orchestrator/incidents/work-runbooks.ts';
import { takeReports } from '../../orchestrator/intake/take.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { startWorkerHost } from '../../workers/host.ts';
import { INCIDENT_QUEUE, openQueue } from '../../workers/queue/queue.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';

export interface ResponderConfig {
  readonly databaseUrl: string;
  readonly queueName: string;
  readonly keyFile: string;
  readonly storeFolder: string;
  /** It kills itself at the first of these that it comes by. */
  readonly points: readonly string[];
  /** Where it writes at which. */
  readonly diedFile: string;
  /** Reported under one id by each process: all but the first find it taken. */
  readonly leaked: string;
  readonly deliveryId: string;
  readonly fingerprintKey: string;
  /** Who approves, over and over, the incident of the report. */
  readonly approvers: readonly string[];
}

const LEASE_MS = 800;
const LOOK_MS = 40;

const config = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')) as ResponderConfig;
const log = createLog('responder', { level: 'warn' });
const keyring = await loadKeyring(config.keyFile);
const registries = {
  rotators,
  stores: stores({ keyring }),
  deliveries: deliveries({ clusters: noClusters }),
  rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
};
const faults = {
  reach: async (point: string) => {
    if (!config.points.includes(point)) return;
    appendFileSync(config.diedFile, `${point}\n`);
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => undefined);
  },
};
const databaseUrl = SecretValue.of(config.databaseUrl);
const ledger = openLedger({ url: databaseUrl, log, connections: 8 });
const fingerprintKey = SecretValue.of(config.fingerprintKey);
const common = { ledger, registries, fingerprintKey, clock: systemClock, random: cryptoRandom, log, faults };
await startWorkerHost({
  saga: { ...common, worker: `pid-${process.pid}`, leaseMs: LEASE_MS },
  queueUrl: databaseUrl,
  queueName: config.queueName,
  concurrency: 4,
  sweepMs: 100,
});
const queue = await openQueue({ url: databaseUrl, log, name: config.queueName });
const incidents = await openQueue({ url: databaseUrl, log, name: `${config.queueName}-${INCIDENT_QUEUE}` });
const orchestrator: Orchestrator = {
  ...common,
  localStore: { kind: 'local', spec: { path: config.storeFolder } },
  anchorFile: undefined,
  wake: (id) => queue.wake(id, `${Date.now()}`),
  wakeIncident: (id) => incidents.wake(id, `${Date.now()}`),
};
flushCompileCache();
process.stdout.write('ready\n');

const expected: readonly string[] = ['hook.replayed', 'ledger.conflict', 'ledger.not-found'];
async function unlessTaken(work: () => Promise<unknown>): Promise<void> {
  await work().catch((thrown) => {
    if (!(thrown instanceof RotorError) || !expected.includes(thrown.code)) throw thrown;
  });
}

await unlessTaken(() =>
  takeReports(orchestrator, 'hook/github', config.deliveryId, [
    {
      about: 'leak',
      type: 'postgres',
      reference: 'acme/shop alert 7',
      found: [SecretValue.of(config.leaked)],
      hints: {},
      alert: { owner: 'acme', repo: 'shop', number: 7 },
      severity: 'critical',
      validity: 'active',
      exposure: 'public',
    },
  ]),
);
async function approveAll(): Promise<void> {
  const [open] = await ledger.query<{ id: string }>('SELECT id FROM rotor.incidents WHERE ended_at IS NULL');
  for (const person of open ? config.approvers : [])
    await unlessTaken(() =>
      approveIncident(orchestrator, open?.id ?? '', undefined, { person, actor: `token/${person}` }),
    );
}
const work = [
  () => followIncidents(orchestrator),
  () => sendMessages(orchestrator),
  () => workRunbooks(orchestrator, LEASE_MS),
  approveAll,
];
await Promise.all(
  work.map(async (chore) => {
    for (;;) {
      await chore();
      await systemClock.sleep(LOOK_MS);
    }
  }),
);

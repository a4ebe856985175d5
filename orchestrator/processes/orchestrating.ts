import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { asRotorError } from '../../core/errors.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { credentialAge } from '../../core/telemetry.ts';
import { forgetRequests } from '../../ledger/event-requests.ts';
import { forgetDeliveries } from '../../ledger/incidents.ts';
import { pruneJournal } from '../../ledger/journal.ts';
import { oldestCredentialSeconds, type Policy } from '../../ledger/policies.ts';
import { forgetReads } from '../../ledger/secret-reads.ts';
import { createToken, findToken } from '../../ledger/tokens.ts';
import { INCIDENT_QUEUE, openQueue, type RotationQueue } from '../../workers/queue/queue.ts';
import { createApi } from '../api/api.ts';
import { type Served, serveApi } from '../api/serve.ts';
import { startReconciler } from '../cluster/reconciler.ts';
import { followIncidents } from '../incidents/follow.ts';
import { sendMessages } from '../incidents/notify.ts';
import { workRunbooks } from '../incidents/work-runbooks.ts';
import { loadHooks } from '../intake/hooks-file.ts';
import { openHooks } from '../intake/receive.ts';
import { pollQueue } from '../intake/sqs/poll.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { sealAndAnchor } from '../operations/audit.ts';
import { dueOf } from '../operations/due.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { startDueRotation } from '../operations/start-due.ts';
import { watchCurrentOf } from '../operations/watch-current.ts';
import { startScheduler } from '../scheduler/scheduler.ts';
import type { Foundation } from './foundation.ts';

export interface Orchestrating {
  readonly served: Served;
  readonly tokenFile: string | undefined;
  close(): Promise<void>;
}

const SEAL_MS = 1_000;
const AGE_MS = 60_000;
const PRUNE_MS = 3_600_000;
/** The status of custom resources is at most that old. */
const LOOK_MS = 1_000;
const FOLLOW_MS = 1_000;
/** Longer than the widest window in which a delivery is believed. */
const DELIVERIES_KEPT_MS = 14 * 86_400_000;

/** Scheduler, HTTP API and housekeeping of one process; any number of them share the work through the ledger. */
export async function startOrchestrating(foundation: Foundation): Promise<Orchestrating> {
  const { config, ledger, log, registries, fingerprintKey, localStore, anchorFile, telemetry } = foundation;
  const named = { url: foundation.queueUrl, log, migrate: config.migrate === 'auto' };
  const queue = await openQueue(named);
  const incidents = await openQueue({ ...named, name: INCIDENT_QUEUE });
  const wakeBy = async (by: RotationQueue, id: string) => {
    await by.wake(id, `${Date.now()}`).catch((thrown) => {
      log.warn(
        { err: asRotorError(thrown, 'waking a worker') },
        'the queue is out of reach; the sweep will find the work',
      );
    });
  };
  const orchestrator: Orchestrator = {
    ledger,
    registries,
    clock: systemClock,
    random: cryptoRandom,
    log,
    fingerprintKey,
    localStore,
    anchorFile,
    wake: (id) => wakeBy(queue, id),
    wakeIncident: (id) => wakeBy(incidents, id),
  };
  const tokenFile = config.mode === 'embedded' ? await adminToken(foundation) : undefined;
  const { sources, queues } = await loadHooks(config.hooksFile);
  const hooks = openHooks(orchestrator, sources);
  const api = createApi(orchestrator, { metrics: () => telemetry.metrics(), hooks });
  const served = await serveApi(api, config.listen);
  const scheduler = await startScheduler({
    ledger,
    clock: systemClock,
    log,
    nextDue: (transaction, policy) => dueOf(transaction, policy as Policy<PolicySpec>, systemClock.now()),
    start: (transaction, policy) => startDueRotation(orchestrator, transaction, policy as Policy<PolicySpec>),
    wake: orchestrator.wake,
    planned: (transaction, policies) =>
      watchCurrentOf(orchestrator, transaction, policies as readonly Policy<PolicySpec>[]),
    renewing: foundation.registries.stores.filter(({ renews }) => renews).map(({ kind }) => kind),
  });
  const reconciler =
    config.watchNamespaces &&
    (await startReconciler({
      orchestrator,
      clusters: foundation.clusters,
      namespaces: config.watchNamespaces,
      lookMs: Math.min(config.sweepIntervalMs, LOOK_MS),
    }));
  const listening = queues.map((each) => pollQueue(orchestrator, each));
  const chores = [
    every(SEAL_MS, () => sealAndAnchor(ledger, anchorFile)),
    every(FOLLOW_MS, () => followIncidents(orchestrator)),
    every(FOLLOW_MS, () => sendMessages(orchestrator)),
    every(FOLLOW_MS, () => hooks.inquire()),
    every(FOLLOW_MS, () => workRunbooks(orchestrator)),
    every(PRUNE_MS, () => forgetDeliveries(ledger, DELIVERIES_KEPT_MS)),
    every(PRUNE_MS, () => forgetRequests(ledger, Math.max(DELIVERIES_KEPT_MS, config.journalRetentionMs))),
    every(AGE_MS, async () => credentialAge().record(await oldestCredentialSeconds(ledger))),
    every(PRUNE_MS, () => pruneJournal(ledger, config.journalRetentionMs)),
    every(PRUNE_MS, () => forgetReads(ledger, config.readsRetentionMs)),
  ];
  function every(ms: number, work: () => Promise<unknown>): NodeJS.Timeout {
    return setInterval(() => {
      work().catch((thrown) =>
        log.warn({ err: asRotorError(thrown, 'a chore') }, 'a chore failed; it is repeated'),
      );
    }, ms);
  }
  return {
    served,
    tokenFile,
    close: async () => {
      for (const chore of chores) clearInterval(chore);
      await Promise.all(listening.map((each) => each.stop()));
      await reconciler?.stop();
      await scheduler.stop();
      await served.close();
      await sealAndAnchor(ledger, anchorFile).catch(() => undefined);
      await queue.close();
      await incidents.close();
    },
  };
}

/** On one machine the command line finds its token in a file that only this user may read. */
async function adminToken({ config, ledger }: Foundation): Promise<string> {
  const file = join(resolve(config.home), 'admin-token');
  const known = await readFile(file, 'utf8').catch(() => '');
  if (known.trim() !== '' && (await findToken(ledger, SecretValue.of(known.trim())))) return file;
  const token = await createToken(ledger, 'local-admin', 'admin');
  await mkdir(resolve(config.home), { recursive: true });
  await writeFile(file, `${token.reveal()}\n`, { mode: 0o600 });
  return file;
}

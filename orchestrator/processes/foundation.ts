import { existsSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import type { Config } from '../../core/config.ts';
import { type Clusters, kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { createLog, type Logger } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretDesks } from '../../functions/desks.ts';
import { type Ledger, migrateLedger, openLedger } from '../../ledger/database.ts';
import { hurryDriftCheck } from '../../ledger/drift.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../ledger/embedded-postgres.ts';
import { assertSchema } from '../../ledger/schema.ts';
import { rotators } from '../../rotators/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { startWorkerHost, type WorkerHost } from '../../workers/host.ts';
import { followSecrets } from '../../workers/kubernetes/followed-secrets.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { loadAllowedCommands } from '../../workers/rollouts/reload/allowed-commands.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { rewrapStageless } from '../../workers/stageless/rewrap.ts';
import type { Shelf } from '../../workers/stageless/session.ts';
import { allStores } from '../../workers/stageless/stores.ts';
import { startTelemetry, type Telemetry } from './telemetry.ts';

/** What every process of Rotor stands on: ledger, keys, the kinds it knows, log and telemetry. */
export interface Foundation {
  readonly config: Config;
  readonly log: Logger;
  readonly databaseUrl: SecretValue;
  readonly queueUrl: SecretValue;
  readonly ledger: Ledger;
  readonly registries: Registries;
  readonly clusters: Clusters;
  readonly fingerprintKey: SecretValue;
  readonly localStore: { readonly kind: 'local'; readonly spec: { readonly path: string } };
  readonly anchorFile: string;
  readonly telemetry: Telemetry;
  close(): Promise<void>;
}

/**
 * Opens it all: in embedded mode with a PostgreSQL and a key file of its own in `config.home`, made when absent.
 * @throws RotorError `ledger.unavailable`, `config.invalid`, `reference.unresolved`
 */
export async function layFoundation(config: Config, name: string): Promise<Foundation> {
  const log = createLog(name, { level: config.logLevel });
  const home = resolve(config.home);
  const telemetry = startTelemetry(`rotor-${name}`, process.env);
  let embedded: EmbeddedPostgres | undefined;
  let ledger: Ledger | undefined;
  try {
    if (config.mode === 'embedded') {
      await mkdir(home, { recursive: true });
      // The embedded PostgreSQL may run as another user, who has to walk through this folder but not to look into it.
      await chmod(home, 0o711);
    }
    const keyFile = resolve(config.keyFile ?? join(home, 'key'));
    if (config.mode === 'embedded' && !existsSync(keyFile)) await createKeyFile(keyFile);
    const keyring = await loadKeyring(keyFile);
    if (!config.databaseUrl) embedded = await startEmbeddedPostgres({ folder: join(home, 'postgres'), log });
    const databaseUrl = config.databaseUrl ?? SecretValue.of(embedded?.url() ?? '');
    if (config.migrate === 'auto') await migrateLedger(databaseUrl, log);
    ledger = openLedger({ url: databaseUrl, log, connections: Math.max(10, config.concurrency + 5) });
    await assertSchema(ledger);
    await wrapWithFirstKey({ ledger, keyring }, log);
    const clusters = kubeconfigClusters();
    const opened = ledger;
    const followed = followSecrets((versionId) => hurryDriftCheck(opened, versionId));
    const allowedCommands = await loadAllowedCommands(config.commandsFile);
    const ways = rollouts({ allowedCommands, clusters });
    const desks = secretDesks({ listen: config.functionsListen, url: config.functionsUrl, log });
    return {
      config,
      log,
      databaseUrl,
      queueUrl: config.queueUrl ?? databaseUrl,
      ledger,
      registries: {
        rotators,
        stores: allStores({ keyring, ledger, clusters }),
        deliveries: deliveries({ clusters, followed }),
        rollouts: ways,
        functions: { desks, allowedCommands },
      },
      clusters,
      fingerprintKey: keyring.derive('fingerprint'),
      localStore: { kind: 'local', spec: { path: join(home, 'store') } },
      anchorFile: join(home, 'audit-anchors'),
      telemetry,
      close: async () => {
        await followed.close();
        for (const way of ways) await way.close?.();
        await desks.close();
        await ledger?.close();
        await embedded?.stop();
        await telemetry.shutdown();
      },
    };
  } catch (thrown) {
    await ledger?.close();
    await embedded?.stop();
    await telemetry.shutdown();
    throw thrown;
  }
}

/** So that older keys can leave the key file once every process has been started with the new first one. */
async function wrapWithFirstKey(shelf: Shelf, log: Logger): Promise<void> {
  try {
    const rewrapped = await rewrapStageless(shelf);
    if (rewrapped > 0) log.info({ rewrapped }, 'versions in the ledger are wrapped with the first key');
  } catch (thrown) {
    log.error({ err: thrown }, 'versions in the ledger stay wrapped with a key that is not the first one');
  }
}

/** The workers of a process. */
export async function startWorkers({
  config,
  log,
  ledger,
  registries,
  fingerprintKey,
  queueUrl,
}: Foundation): Promise<WorkerHost> {
  return startWorkerHost({
    saga: {
      ledger,
      registries,
      fingerprintKey,
      clock: systemClock,
      random: cryptoRandom,
      log: log.child({ part: 'worker' }),
      faults: noFaults,
      worker: `${hostname()}/${process.pid}`,
      leaseMs: config.leaseMs,
    },
    queueUrl,
    concurrency: config.concurrency,
    sweepMs: config.sweepIntervalMs,
    migrate: config.migrate === 'auto',
    driftMs: config.driftIntervalMs,
  });
}

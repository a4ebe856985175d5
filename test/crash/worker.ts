/**
 * A real worker process for the crash matrix: like production's, plus fault points at which it kills or stops itself.
 *   node worker.ts <configuration file>
 */
import { readFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { systemClock } from '../../core/clock.ts';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { createLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretDesks } from '../../functions/desks.ts';
import { openLedger } from '../../ledger/database.ts';
import { rotators } from '../../rotators/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { startWorkerHost } from '../../workers/host.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { allStores } from '../../workers/stageless/stores.ts';

export interface WorkerConfig {
  readonly databaseUrl: string;
  readonly queueUrl: string;
  readonly queueName: string;
  readonly keyFile: string;
  readonly leaseMs: number;
  readonly sweepMs: number;
  /** Of the API for rotation functions; 0 takes a free one. */
  readonly functionsPort?: number;
  /** Fault point and the signal that the process sends itself there, the first time it comes by. */
  readonly fault?: { readonly point: string; readonly signal: 'SIGKILL' | 'SIGSTOP' };
}

const config = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')) as WorkerConfig;
const log = createLog('worker', { level: 'debug' });
const keyring = await loadKeyring(config.keyFile);
const clusters = kubeconfigClusters();
const ledger = openLedger({ url: SecretValue.of(config.databaseUrl), log, connections: 5 });
// Loading it takes longer than a lease of these tests on a busy machine.
if (process.env.KUBECONFIG !== undefined) await import('@kubernetes/client-node');
let armed = config.fault !== undefined;

const host = await startWorkerHost({
  saga: {
    ledger,
    registries: {
      rotators,
      stores: allStores({ keyring, ledger, clusters }),
      deliveries: deliveries({ clusters }),
      rollouts: rollouts({ allowedCommands: [], clusters }),
      functions: {
        desks: secretDesks({ listen: { host: '127.0.0.1', port: config.functionsPort ?? 0 }, log }),
        allowedCommands: [],
      },
    },
    fingerprintKey: SecretValue.of('crash-matrix'),
    clock: systemClock,
    random: cryptoRandom,
    log,
    faults: {
      reach: async (point) => {
        if (!armed || config.fault?.point !== point) return;
        armed = false;
        process.kill(process.pid, config.fault.signal);
        // SIGSTOP is delivered a moment later; nothing may happen until then.
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
    },
    worker: `pid-${process.pid}`,
    leaseMs: config.leaseMs,
  },
  queueUrl: SecretValue.of(config.queueUrl),
  queueName: config.queueName,
  concurrency: 4,
  sweepMs: config.sweepMs,
});
// Most of these processes are killed: what was compiled is kept now, for those that come after.
flushCompileCache();
process.stdout.write('ready\n');
process.on('SIGTERM', async () => {
  await host.close();
  process.exit(0);
});

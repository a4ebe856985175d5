import { systemClock } from '../../core/clock.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import type { Policy } from '../../ledger/policies.ts';
import type { PolicySpec } from '../../orchestrator/manifests/manifest.ts';
import { parseManifests } from '../../orchestrator/manifests/parse.ts';
import { applyManifests } from '../../orchestrator/operations/apply.ts';
import { dueOf } from '../../orchestrator/operations/due.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { startDueRotation } from '../../orchestrator/operations/start-due.ts';
import { tick } from '../../orchestrator/scheduler/scheduler.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';

/** All that the operations need, without a queue: nobody is woken. */
export function orchestratorOf(ledger: Ledger): Orchestrator {
  return {
    ledger,
    registries: {
      rotators,
      stores: stores({ keyring: Keyring.generate() }),
      deliveries: deliveries({ clusters: noClusters }),
      rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
    },
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('fingerprint-key'),
    localStore: { kind: 'local', spec: { path: '/nowhere' } },
    anchorFile: undefined,
    wake: async () => undefined,
    wakeIncident: async () => undefined,
  };
}

export async function applyText(orchestrator: Orchestrator, text: string): Promise<void> {
  await applyManifests(
    orchestrator,
    parseManifests(text, 'test.yaml', orchestrator.registries),
    'test',
    false,
  );
}

/** One look at the due index, as the scheduler takes it at `now`. */
export function tickAt(orchestrator: Orchestrator, now = new Date()): Promise<number> {
  return tick({
    ledger: orchestrator.ledger,
    clock: { ...systemClock, now: () => now },
    log: silentLog,
    nextDue: (transaction, each) => dueOf(transaction, each as Policy<PolicySpec>, now),
    start: (transaction, each) => startDueRotation(orchestrator, transaction, each as Policy<PolicySpec>),
    wake: async () => undefined,
  });
}

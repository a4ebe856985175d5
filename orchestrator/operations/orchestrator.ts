import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import type { Faults } from '../../workers/saga/faults.ts';
import type { Registries } from '../../workers/saga/parts.ts';

/** What the operations of API, scheduler and command line work with. */
export interface Orchestrator {
  readonly ledger: Ledger;
  readonly registries: Registries;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly fingerprintKey: SecretValue;
  /** The store named `local` that is there without a manifest. */
  readonly localStore: { readonly kind: string; readonly spec: unknown };
  /** Where heads of the audit chain are kept outside the database. */
  readonly anchorFile: string | undefined;
  /** Where a test kills this process; production has none. */
  readonly faults?: Faults;
  /** Wakes a worker; when that fails the sweep does it a little later. */
  wake(rotationId: string): Promise<void>;
  /** Wakes a worker to contain what an incident is about; it has a queue of its own. */
  wakeIncident(incidentId: string): Promise<void>;
}

export const DEFAULT_NAMESPACE = 'default';

/** `orders` is `default/orders`. */
export function qualified(name: string): string {
  return name.includes('/') ? name : `${DEFAULT_NAMESPACE}/${name}`;
}

import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { Registry } from './registry.ts';
import type { Store } from './store.ts';
import type { Users } from './users.ts';

/** What the operations of the API work on. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Store;
  readonly registry: Registry;
  readonly users: Users;
}

/** Time as objects carry it: UTC, whole seconds. */
export function timestamp(world: Pick<World, 'clock'>): string {
  return `${world.clock.now().toISOString().slice(0, 19)}Z`;
}

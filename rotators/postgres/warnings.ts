import type { Server } from './connection.ts';
import { quoted } from './fence.ts';
import type { Facts } from './privileges.ts';

/** Stray sessions of the old credential can only be ended by who may. */
export function signalWarnings(facts: Facts): string[] {
  if (facts.superuser || facts.canSignal) return [];
  return [
    `the admin role ${facts.admin} may not end sessions: GRANT pg_signal_backend TO ${quoted(facts.admin)};`,
  ];
}

/** A lagging replica that is promoted brings the old password back; nothing waits for one that isn't synchronous. */
export function replicaWarnings({ replicas, synchronous }: Server): string[] {
  if (replicas === 0 || synchronous) return [];
  return [
    `${replicas} ${replicas === 1 ? 'replica follows' : 'replicas follow'} asynchronously: a failover right after the change may bring the old password back (set synchronous_standby_names)`,
  ];
}

import type { DescribeSecretResponse } from '@aws-sdk/client-secrets-manager';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';

/** How often, and how long at most, replicas are looked at, in milliseconds. AWS needs seconds as a rule. */
const PAUSE_MS = 500;
const PATIENCE_MS = 15_000;

export type Replicas = 'none' | 'in-sync' | { readonly behind: readonly string[]; readonly failed: boolean };

/** Whether every replica has what the primary has. Regions that haven't are named with AWS's word for their state. */
export function replicasOf(secret: DescribeSecretResponse | undefined): Replicas {
  const all = secret?.ReplicationStatus ?? [];
  if (all.length === 0) return 'none';
  const behind = all.filter(({ Status }) => Status !== 'InSync');
  if (behind.length === 0) return 'in-sync';
  return {
    behind: behind.map(({ Region = '?', Status = 'unknown' }) => `${Region} (${Status})`),
    failed: behind.some(({ Status }) => Status === 'Failed'),
  };
}

/**
 * Waits until consumers in other regions read what those in the primary's do: the old credential must not be revoked
 * while a replica still hands it out.
 * @throws RotorError `store.unavailable`, retryable
 */
export async function awaitReplicas(
  call: Call,
  name: string,
  describe: () => Promise<DescribeSecretResponse | undefined>,
): Promise<void> {
  const deadline = call.deadline.within(PATIENCE_MS, call.clock);
  for (;;) {
    const replicas = replicasOf(await describe());
    if (typeof replicas === 'string') return;
    if (replicas.failed || deadline.remainingMs() <= PAUSE_MS) {
      throw new RotorError('store.unavailable', {
        what: `secret ${name} is published, but not in sync in ${replicas.behind.join(', ')}`,
        hint: 'Rotor looks again. If it stays so, `aws secretsmanager describe-secret` has the reason of each replica.',
      });
    }
    await call.clock.sleep(PAUSE_MS);
  }
}

import { appendAudit } from '../../ledger/audit.ts';
import { type ClusterObjectRow, releaseClusterObject } from '../../ledger/cluster-objects.ts';
import type { Ledger } from '../../ledger/database.ts';
import { applyPolicy, getPolicy } from '../../ledger/policies.ts';
import { type ResourceKind, removeResource } from '../../ledger/resources.ts';
import type { Kind, PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { ACTOR } from './apply.ts';
import { keyOf } from './reading.ts';

/** A policy as far as it says what it uses. */
interface User {
  readonly name: string;
  readonly spec: Partial<Pick<PolicySpec, 'provider' | 'store' | 'suspend' | 'onCompromise'>>;
}

/**
 * Which of the manifests whose objects are gone may go now: policies at once; a provider, a store or a runbook when no policy uses it
 * any more that is still followed or still planned. Pure.
 */
export function retirable(
  gone: readonly ClusterObjectRow[],
  policies: readonly User[],
  followed: ReadonlySet<string>,
): readonly ClusterObjectRow[] {
  const leaving = new Set(gone.filter(({ kind }) => kind === 'RotationPolicy').map(({ name }) => name));
  const users = policies.filter(
    ({ name, spec }) => !leaving.has(name) && (followed.has(name) || spec.suspend !== true),
  );
  const isUsed = (kind: string, name: string) => users.some(({ spec }) => usedBy(spec, kind) === name);
  return gone.filter(({ kind, name }) => kind === 'RotationPolicy' || !isUsed(kind, name));
}

/** The name of the one of that kind that a policy uses. */
function usedBy({ provider, store, onCompromise }: User['spec'], kind: string): string | undefined {
  if (kind === 'Provider') return provider;
  return kind === 'Runbook' ? onCompromise?.runbook : store?.name;
}

/**
 * Answers the deletion of a custom resource. A policy is suspended and stays in the ledger, with its credential's history:
 * a rotation that runs goes on to its end, a secret that leaks later is still recognized, and the same policy applied again
 * goes on where this one stopped. Another kind is removed; rotations that run carry a copy of it.
 * @returns false when another object of that name took its place meanwhile
 */
export async function retire({ ledger, random }: Orchestrator, row: ClusterObjectRow): Promise<boolean> {
  return ledger.transaction(async (transaction) => {
    if (!(await releaseClusterObject(transaction, row))) return false;
    const { kind, namespace, name } = row;
    if (kind === 'RotationPolicy') {
      await suspend(transaction, random.uuid(), namespace, name);
    } else {
      await removeResource(transaction, kind as ResourceKind, namespace, name);
    }
    await appendAudit(transaction, {
      actor: ACTOR,
      action: 'manifest.retired',
      subject: keyOf({ kind: kind as Kind, namespace, name }),
    });
    return true;
  });
}

async function suspend(ledger: Ledger, uid: string, namespace: string, name: string): Promise<void> {
  const { spec } = await getPolicy<object>(ledger, `${namespace}/${name}`);
  await applyPolicy(ledger, { uid, namespace, name, spec: { ...spec, suspend: true } });
}

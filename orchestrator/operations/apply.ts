import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import { policyNames } from '../../ledger/outlook.ts';
import { type Applied, applyPolicy } from '../../ledger/policies.ts';
import { applyResource, listResources } from '../../ledger/resources.ts';
import { type Manifest, manifestKey } from '../manifests/manifest.ts';
import { checkReferences, type Referable } from '../manifests/references.ts';
import type { Orchestrator } from './orchestrator.ts';

export interface AppliedManifest {
  readonly object: string;
  readonly result: Applied;
}

/**
 * Creates or replaces what the manifests describe, all of it or nothing. A running rotation goes on by what its policy
 * said when it began.
 * @param dryRun tells what would change and changes nothing
 * @throws ManifestError when a reference leads nowhere
 */
export async function applyManifests(
  { ledger, random, localStore }: Orchestrator,
  manifests: readonly Manifest[],
  actor: string,
  dryRun = false,
): Promise<readonly AppliedManifest[]> {
  const namespaces = [...new Set(manifests.map(({ namespace }) => namespace))];
  checkReferences(manifests, await referable(ledger, namespaces, localStore));
  const applied: AppliedManifest[] = [];
  const apply = async (transaction: Ledger) => {
    for (const manifest of manifests) {
      const { kind, namespace, name, spec } = manifest;
      const result =
        kind === 'RotationPolicy'
          ? (await applyPolicy(transaction, { uid: random.uuid(), namespace, name, spec })).applied
          : await applyResource(transaction, { kind, namespace, name, spec });
      applied.push({ object: manifestKey(manifest), result });
      if (result !== 'unchanged') {
        await appendAudit(transaction, {
          actor,
          action: `manifest.${result}`,
          subject: manifestKey(manifest),
        });
      }
    }
    if (dryRun) throw new DryRun();
  };
  await ledger.transaction(apply).catch((thrown) => {
    if (!(thrown instanceof DryRun)) throw thrown;
  });
  return applied;
}

/** Thrown to undo a dry run's transaction. */
class DryRun extends Error {}

/** What manifests in `namespaces` may refer to, beside each other. */
export async function referable(
  ledger: Ledger,
  namespaces: readonly string[],
  localStore: { readonly kind: string },
): Promise<Referable[]> {
  const policies = await policyNames(ledger, namespaces);
  const resources = await listResources(ledger);
  return [
    ...namespaces.map((namespace) => ({
      kind: 'Store' as const,
      namespace,
      name: 'local',
      spec: localStore,
    })),
    ...resources,
    ...policies.map(({ namespace, name }) => ({ kind: 'RotationPolicy' as const, namespace, name })),
  ];
}

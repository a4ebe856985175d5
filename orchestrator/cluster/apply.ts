import { isDeepStrictEqual } from 'node:util';
import { asRotorError } from '../../core/errors.ts';
import { type ClusterObjectRow, claimClusterObject } from '../../ledger/cluster-objects.ts';
import type { Ledger } from '../../ledger/database.ts';
import { policyOutlooks } from '../../ledger/outlook.ts';
import { listResources } from '../../ledger/resources.ts';
import type { Manifest } from '../manifests/manifest.ts';
import { applyManifests } from '../operations/apply.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import type { CustomResource } from './custom-resource.ts';
import { keyOf, type Reading } from './reading.ts';

export const ACTOR = 'kubernetes';

/** A custom resource with the manifest that it was read as. */
export interface Readable {
  readonly resource: CustomResource;
  readonly manifest: Manifest;
}

/** What the ledger holds of a namespace, by {@link keyOf}. */
export interface LedgerSide {
  readonly specs: ReadonlyMap<string, unknown>;
  readonly rows: ReadonlyMap<string, ClusterObjectRow>;
}

/** Reads what the ledger holds of a namespace. */
export async function ledgerSpecs(ledger: Ledger, namespace: string): Promise<ReadonlyMap<string, unknown>> {
  const policies = await policyOutlooks(ledger, namespace);
  const resources = await listResources(ledger);
  return new Map([
    ...policies.map(({ name, spec }) => [keyOf({ kind: 'RotationPolicy', namespace, name }), spec] as const),
    ...resources
      .filter((each) => each.namespace === namespace)
      .map((each) => [keyOf(each), each.spec] as const),
  ]);
}

/** The accepted manifests that the ledger doesn't hold as they are written, or not as this object's. Pure. */
export function differing(
  resources: readonly CustomResource[],
  readings: ReadonlyMap<string, Reading>,
  { specs, rows }: LedgerSide,
): readonly Readable[] {
  return resources.flatMap((resource) => {
    const key = keyOf(resource);
    const reading = readings.get(key);
    if (!reading?.accepted) return [];
    const row = rows.get(key);
    const noted = row?.uid === resource.uid && row.generation >= resource.generation;
    const { manifest } = reading;
    // As the ledger gives it back: without fields that are undefined.
    const same = isDeepStrictEqual(specs.get(key), JSON.parse(JSON.stringify(manifest.spec)));
    return noted && same ? [] : [{ resource, manifest }];
  });
}

/**
 * Applies manifests as files are applied, all of them or none. When the ledger can't take them together, each is tried by
 * itself, so that one that it can't take holds up no other.
 * @returns the refused ones, by {@link keyOf}
 * @throws RotorError `ledger.unavailable`
 */
export async function applyAll(
  orchestrator: Orchestrator,
  readables: readonly Readable[],
): Promise<ReadonlyMap<string, Reading>> {
  try {
    return await applyTogether(orchestrator, readables);
  } catch (thrown) {
    if (asRotorError(thrown, 'applying').code === 'ledger.unavailable') throw thrown;
  }
  const refused = new Map<string, Reading>();
  for (const readable of readables) {
    const key = keyOf(readable.resource);
    try {
      for (const [each, reading] of await applyTogether(orchestrator, [readable])) refused.set(each, reading);
    } catch (thrown) {
      const error = asRotorError(thrown, 'applying');
      if (error.code === 'ledger.unavailable') throw error;
      orchestrator.log.warn({ err: error, object: key }, 'the ledger does not take it');
      refused.set(key, { accepted: false, reason: 'NotApplied', problems: [error.message] });
    }
  }
  return refused;
}

/**
 * A cluster restored from a backup, for one, counts generations that were counted before. (A replica that merely lags
 * behind comes here too, but its status is refused, since it is of an older version of the object.)
 */
const SUPERSEDED: Reading = {
  accepted: false,
  reason: 'Superseded',
  problems: ['a newer generation of it was applied before: delete it and apply it again'],
};

/** @returns those that are left out, since a newer generation of them was applied */
async function applyTogether(
  orchestrator: Orchestrator,
  readables: readonly Readable[],
): Promise<ReadonlyMap<string, Reading>> {
  const refused = new Map<string, Reading>();
  if (readables.length === 0) return refused;
  const applied = await orchestrator.ledger.transaction(async (ledger) => {
    const manifests: Manifest[] = [];
    // Always in the same order: of two replicas that apply the same, one waits for the other.
    const ordered = readables.toSorted((a, b) => (keyOf(a.resource) < keyOf(b.resource) ? -1 : 1));
    for (const { resource, manifest } of ordered) {
      const { kind, namespace, name, uid, generation, createdAt: bornAt } = resource;
      const claimed = await claimClusterObject(ledger, { kind, namespace, name, uid, bornAt, generation });
      if (claimed) manifests.push(manifest);
      else refused.set(keyOf(resource), SUPERSEDED);
    }
    return applyManifests({ ...orchestrator, ledger }, manifests, ACTOR);
  });
  for (const { object, result } of applied) {
    if (result !== 'unchanged') orchestrator.log.info({ object, result }, 'applied from the cluster');
  }
  return refused;
}

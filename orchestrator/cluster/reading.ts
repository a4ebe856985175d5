import type { Manifest } from '../manifests/manifest.ts';
import { API_VERSION, manifestKey } from '../manifests/manifest.ts';
import { readManifests } from '../manifests/parse.ts';
import { ManifestError, type Problem } from '../manifests/problem.ts';
import { checkReferences, type Referable } from '../manifests/references.ts';
import type { Schemas } from '../manifests/schemas.ts';
import type { CustomResource } from './custom-resource.ts';

/** What became of a custom resource as a manifest. `problems` name fields and never quote values. */
export type Reading =
  | { readonly accepted: true; readonly manifest: Manifest }
  | {
      readonly accepted: false;
      /** `NotApplied`, `Superseded`: the ledger did not take it. */
      readonly reason: 'ManifestInvalid' | 'ReferenceMissing' | 'NotApplied' | 'Superseded';
      readonly problems: readonly string[];
    };

/** Reads a custom resource as if its manifest stood in a file: by the same schemas, with the same words. */
export function readResource(resource: CustomResource, schemas: Schemas): Reading {
  const { kind, namespace, name, spec, environment } = resource;
  // Labels and annotations are the cluster's: what others keep there is none of ours, but for one.
  const labels = environment === undefined ? {} : { labels: { environment } };
  const text = JSON.stringify({
    apiVersion: API_VERSION,
    kind,
    metadata: { namespace, name, ...labels },
    spec,
  });
  const { manifests, problems } = readManifests(text, keyOf(resource), schemas);
  const [manifest] = manifests;
  if (manifest && problems.length === 0) return { accepted: true, manifest };
  return { accepted: false, reason: 'ManifestInvalid', problems: problems.map(inWords) };
}

/**
 * Those of the readings whose references lead somewhere: to each other, or to what is there. Policies that name each other
 * are accepted together, and one that names a refused one is refused too.
 * @returns every reading, by {@link keyOf}
 */
export function checkedTogether(
  readings: ReadonlyMap<string, Reading>,
  existing: readonly Referable[],
): ReadonlyMap<string, Reading> {
  const checked = new Map(readings);
  for (;;) {
    const manifests = [...checked.values()].flatMap((each) => (each.accepted ? [each.manifest] : []));
    const refused = missingReferences(manifests, existing);
    if (refused.size === 0) return checked;
    for (const [key, problems] of refused) {
      checked.set(key, { accepted: false, reason: 'ReferenceMissing', problems: problems.map(inWords) });
    }
  }
}

/** Names a resource as its manifest is named: `RotationPolicy shop/orders-db`. */
export function keyOf(resource: Pick<CustomResource, 'kind' | 'namespace' | 'name'>): string {
  return manifestKey(resource);
}

function missingReferences(
  manifests: readonly Manifest[],
  existing: readonly Referable[],
): ReadonlyMap<string, Problem[]> {
  try {
    checkReferences(manifests, existing);
    return new Map();
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return Map.groupBy(error.problems, ({ file }) => file);
  }
}

function inWords({ field, message }: Problem): string {
  return field === '' ? message : `${field} ${message}`;
}

import { closest } from '../../core/closest.ts';
import { type Kind, type Manifest, manifestKey, type PolicyManifest } from './manifest.ts';
import { ManifestError, type Problem } from './problem.ts';

/** Something that can be referred to: a manifest of the set, or what was applied before. */
export interface Referable {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** Rotator kind of a Provider, where it is known. */
  readonly spec?: unknown;
}

/**
 * Checks that policies name providers, stores and policies that are in `manifests` or `existing`, always
 * in their own namespace: naming those of another would make Rotor a confused deputy.
 * @throws ManifestError with every reference that leads nowhere
 */
export function checkReferences(manifests: readonly Manifest[], existing: readonly Referable[] = []): void {
  const known = new Map<string, Referable>();
  for (const each of [...existing, ...manifests]) known.set(manifestKey(each), each);
  const problems = manifests.flatMap((manifest) =>
    manifest.kind === 'RotationPolicy' ? problemsOf(manifest, known) : [],
  );
  if (problems.length > 0) throw new ManifestError(problems);
}

function problemsOf(policy: PolicyManifest, known: ReadonlyMap<string, Referable>): Problem[] {
  const { spec, namespace } = policy;
  const problems: Problem[] = [];
  const problem = (field: string, message: string) =>
    problems.push({ ...policy.source, column: 1, field, message });
  const find = (kind: Kind, name: string, field: string): Referable | undefined => {
    const found = known.get(manifestKey({ kind, namespace, name }));
    if (!found) problem(field, missing(kind, namespace, name, known));
    return found;
  };
  if (spec.provider !== undefined) {
    const provider = find('Provider', spec.provider, 'spec.provider');
    const kind = kindOf(provider);
    if (kind !== undefined && kind !== spec.credential.kind) {
      problem('spec.provider', `is a provider for ${kind}, but the credential is ${spec.credential.kind}`);
    }
  }
  find('Store', spec.store.name, 'spec.store.name');
  if (spec.onCompromise) find('Runbook', spec.onCompromise.runbook, 'spec.onCompromise.runbook');
  for (const [index, name] of (spec.apart?.from ?? []).entries()) {
    const field = `spec.apart.from[${index}]`;
    if (name === policy.name) problem(field, 'is this policy itself');
    else find('RotationPolicy', name, field);
  }
  return problems;
}

function kindOf(provider: Referable | undefined): string | undefined {
  const spec = provider?.spec;
  return typeof spec === 'object' && spec !== null && 'kind' in spec ? String(spec.kind) : undefined;
}

function missing(kind: Kind, namespace: string, name: string, known: ReadonlyMap<string, Referable>): string {
  const all = [...known.values()].filter((each) => each.kind === kind);
  const here = all.filter((each) => each.namespace === namespace).map((each) => each.name);
  const elsewhere = all.find((each) => each.name === name);
  const meant = closest(name, here);
  const hint = meant
    ? `; did you mean "${meant}"?`
    : elsewhere
      ? `; there is one in namespace ${elsewhere.namespace}, but references stay within a namespace`
      : '';
  return `there is no ${kind} ${namespace}/${name}${hint}`;
}

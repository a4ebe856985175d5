import { statusOf } from './client/api.ts';
import type { ControllerRevision, PodTemplate } from './client/wire.ts';
import type { Cluster } from './controller.ts';
import { canonical, hashOf } from './names.ts';
import { controllerReference, type OwnerFacts } from './pod-facts.ts';

const HASH = 'controller.kubernetes.io/hash';

export interface Revisions {
  /** Name of the revision that pods had before the update that is under way. */
  readonly current: string;
  /** Name of the revision of the present template. */
  readonly update: string;
  readonly known: readonly ControllerRevision[];
}

export interface RevisionFacts {
  /** What the owner's status calls current. */
  readonly current: string | undefined;
  readonly limit: number;
  /** Revisions that pods have: these are never removed. */
  readonly inUse: readonly string[];
  readonly collisions: number;
}

type Owner = OwnerFacts & { readonly metadata: { readonly namespace: string } };

/** Remembers the template of a StatefulSet or DaemonSet, and forgets templates that are old and unused. */
export async function ensureRevision(
  cluster: Cluster,
  owner: Owner,
  template: PodTemplate,
  facts: RevisionFacts,
): Promise<Revisions> {
  const { revisions } = cluster;
  const known = revisions.cache.ownedBy(owner.metadata.uid).sort((a, b) => a.revision - b.revision);
  const data = { spec: { template: { ...template, $patch: 'replace' } } };
  const highest = known.at(-1)?.revision ?? 0;
  const equal = known.find((revision) => canonical(revision.data) === canonical(data));
  let update = equal;
  if (!update) {
    update = await makeRevision(cluster, owner, template, data, highest + 1, facts.collisions);
  } else if (update.revision < highest) {
    // Going back to an earlier template makes it the newest again.
    update = await revisions.update({ ...update, revision: highest + 1 });
  }
  const name = update.metadata.name;
  const current = known.some(({ metadata }) => metadata.name === facts.current) ? facts.current : undefined;
  const kept = new Set([name, current, ...facts.inUse]);
  const old = known.filter(({ metadata }) => !kept.has(metadata.name));
  for (const surplus of old.slice(0, Math.max(0, old.length - facts.limit))) await revisions.remove(surplus);
  return { current: current ?? name, update: name, known: equal ? known : [...known, update] };
}

async function makeRevision(
  { revisions }: Cluster,
  owner: Owner,
  template: PodTemplate,
  data: object,
  revision: number,
  collisions: number,
): Promise<ControllerRevision> {
  for (let attempt = collisions; ; attempt += 1) {
    const hash = hashOf(template, attempt);
    const metadata = {
      name: `${owner.metadata.name}-${hash}`,
      namespace: owner.metadata.namespace,
      labels: { ...template.metadata?.labels, [HASH]: hash },
      ownerReferences: [controllerReference(owner)],
    };
    try {
      return await revisions.create({ metadata, data, revision });
    } catch (error) {
      // The name is another's: a number in the hash makes a new one.
      if (statusOf(error) !== 409 || attempt > collisions + 3) throw error;
    }
  }
}

/** The template that a revision remembers. */
export function revisionTemplate({ known }: Revisions, name: string): PodTemplate | undefined {
  const revision = known.find(({ metadata }) => metadata.name === name);
  const data = revision?.data as { spec: { template: PodTemplate & { $patch?: string } } } | undefined;
  if (!data) return undefined;
  const { $patch: _, ...template } = data.spec.template;
  return template;
}

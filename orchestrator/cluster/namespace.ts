import { type ClusterObjectRow, listClusterObjects } from '../../ledger/cluster-objects.ts';
import { policyOutlooks } from '../../ledger/outlook.ts';
import type { Kind, PolicySpec } from '../manifests/manifest.ts';
import type { Schemas } from '../manifests/schemas.ts';
import { referable } from '../operations/apply.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { applyAll, differing, ledgerSpecs, type Readable } from './apply.ts';
import type { CustomResource } from './custom-resource.ts';
import { checkedTogether, keyOf, type Reading, readResource } from './reading.ts';
import type { Reporter } from './report.ts';
import { retirable, retire } from './retire.ts';
import { answerRotateNow } from './rotate-now.ts';
import { several } from './several.ts';

const REQUESTS_AT_ONCE = 8;

export interface NamespacePass {
  readonly orchestrator: Orchestrator;
  readonly schemas: Schemas;
  readonly reporter: Reporter;
  readonly namespace: string;
  /** All custom resources of the namespace, as last heard. */
  readonly resources: readonly CustomResource[];
  /** Asks the API server itself; undefined when there is none. */
  readonly look: (
    object: Pick<CustomResource, 'kind' | 'namespace' | 'name'>,
  ) => Promise<CustomResource | undefined>;
}

/**
 * Brings the ledger to what the custom resources of a namespace say, starts the rotations that they ask for, and tells
 * them what became of it. Looks at everything each time, so that it doesn't matter what was missed; writes only what
 * differs, so that it doesn't matter how often, and by how many processes, it is done.
 * @returns `again` when there is more to do in a moment: a policy is being planned, an object changed meanwhile
 */
export async function reconcileNamespace(pass: NamespacePass): Promise<'again' | 'settled'> {
  const { orchestrator, namespace } = pass;
  const { readings, late } = await acceptAll(pass);
  // What the cluster says by now is heard in a moment; until then nothing is told of it.
  const resources = pass.resources.filter((each) => !late.has(keyOf(each)));
  const policies = resources.filter(({ kind }) => kind === 'RotationPolicy');
  const answers = new Map<string, Awaited<ReturnType<typeof answerRotateNow>>>();
  for (const resource of policies) {
    const reading = readingOf(readings, resource);
    answers.set(resource.name, await answerRotateNow(orchestrator, resource, reading));
  }
  const outlooks = new Map(
    (await policyOutlooks<PolicySpec>(orchestrator.ledger, namespace)).map((each) => [each.name, each]),
  );
  let isSettled = late.size === 0;
  await several(resources, REQUESTS_AT_ONCE, async (resource) => {
    const reading = readingOf(readings, resource);
    const outlook = outlooks.get(resource.name);
    const rotateNow = answers.get(resource.name) ?? { answered: undefined };
    const reported =
      resource.kind === 'RotationPolicy'
        ? await pass.reporter.policy({ resource, reading, outlook, rotateNow })
        : await pass.reporter.other(resource, reading);
    if (reported === 'stale' || (resource.kind === 'RotationPolicy' && outlook?.replanning))
      isSettled = false;
  });
  await retireGone(pass);
  return isSettled ? 'settled' : 'again';
}

/** @returns `late`: what differs, but was not applied, since the cluster says something else by now */
async function acceptAll({ orchestrator, schemas, namespace, resources, look }: NamespacePass): Promise<{
  readonly readings: ReadonlyMap<string, Reading>;
  readonly late: ReadonlySet<string>;
}> {
  const { ledger, localStore } = orchestrator;
  const written = new Map(resources.map((each) => [keyOf(each), readOnce(each, schemas)] as const));
  const specs = await ledgerSpecs(ledger, namespace);
  const rows = new Map((await listClusterObjects(ledger, namespace)).map((row) => [keyOfRow(row), row]));
  const readings = checkedTogether(written, await referable(ledger, [namespace], localStore));
  const wanted = differing(resources, readings, { specs, rows });
  if (!(await areCurrent(look, wanted)))
    return { readings, late: new Set(wanted.map(({ resource }) => keyOf(resource))) };
  const refused = await applyAll(orchestrator, wanted);
  return { readings: new Map([...readings, ...refused]), late: new Set<string>() };
}

/**
 * Whether the API server says the same as was heard last. A process that is cut off from it would otherwise apply again what
 * was deleted or changed meanwhile, and dealt with by another.
 */
async function areCurrent(look: NamespacePass['look'], readables: readonly Readable[]): Promise<boolean> {
  let isCurrent = true;
  await several(readables, REQUESTS_AT_ONCE, async ({ resource }) => {
    const now = await look(resource);
    if (now?.uid !== resource.uid || now.generation !== resource.generation) isCurrent = false;
  });
  return isCurrent;
}

/** Informers keep one object for as long as it stays the same. */
const read = new WeakMap<CustomResource, Reading>();

function readOnce(resource: CustomResource, schemas: Schemas): Reading {
  const reading = read.get(resource) ?? readResource(resource, schemas);
  read.set(resource, reading);
  return reading;
}

async function retireGone({ orchestrator, namespace, resources, look }: NamespacePass): Promise<void> {
  const { ledger, log } = orchestrator;
  const keys = new Set(resources.map(keyOf));
  const rows = await listClusterObjects(ledger, namespace);
  const unheard = rows.filter((row) => !keys.has(keyOfRow(row)));
  if (unheard.length === 0) return;
  const gone: ClusterObjectRow[] = [];
  await several(unheard, REQUESTS_AT_ONCE, async (row) => {
    // Another process may have applied what this one has not heard of yet.
    if ((await look({ ...row, kind: row.kind as Kind })) === undefined) gone.push(row);
  });
  const policies = await policyOutlooks<PolicySpec>(ledger, namespace);
  const followed = new Set(rows.filter(({ kind }) => kind === 'RotationPolicy').map(({ name }) => name));
  for (const row of retirable(gone, policies, followed)) {
    if (await retire(orchestrator, row)) log.info({ object: keyOfRow(row) }, 'gone from the cluster');
  }
}

function keyOfRow({ kind, namespace, name }: ClusterObjectRow): string {
  return `${kind} ${namespace}/${name}`;
}

function readingOf(readings: ReadonlyMap<string, Reading>, resource: CustomResource): Reading {
  return (
    readings.get(keyOf(resource)) ?? {
      accepted: false,
      reason: 'ManifestInvalid',
      problems: ['was not read'],
    }
  );
}

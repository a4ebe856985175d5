import { listClusterObjects } from '../../ledger/cluster-objects.ts';
import { policyOutlooks } from '../../ledger/outlook.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Schemas } from '../manifests/schemas.ts';
import { referable } from '../operations/apply.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { applyAll, differing, ledgerSpecs } from './apply.ts';
import type { CustomResource } from './custom-resource.ts';
import { checkedTogether, keyOf, type Reading, readResource } from './reading.ts';
import type { Reporter } from './report.ts';
import { retirable, retire } from './retire.ts';
import { answerRotateNow } from './rotate-now.ts';
import { several } from './several.ts';

const REPORTS_AT_ONCE = 8;

export interface NamespacePass {
  readonly orchestrator: Orchestrator;
  readonly schemas: Schemas;
  readonly reporter: Reporter;
  readonly namespace: string;
  /** All custom resources of the namespace. */
  readonly resources: readonly CustomResource[];
}

/**
 * Brings the ledger to what the custom resources of a namespace say, starts the rotations that they ask for, and tells
 * them what became of it. Looks at everything each time, so that it doesn't matter what was missed; writes only what
 * differs, so that it doesn't matter how often, and by how many processes, it is done.
 * @returns `again` when there is more to do in a moment: a policy is being planned, an object changed meanwhile
 */
export async function reconcileNamespace(pass: NamespacePass): Promise<'again' | 'settled'> {
  const { orchestrator, namespace, resources } = pass;
  const readings = await acceptAll(pass);
  await retireGone(pass);
  const policies = resources.filter(({ kind }) => kind === 'RotationPolicy');
  const answers = new Map<string, Awaited<ReturnType<typeof answerRotateNow>>>();
  for (const resource of policies) {
    const reading = readingOf(readings, resource);
    answers.set(resource.name, await answerRotateNow(orchestrator, resource, reading));
  }
  const outlooks = new Map(
    (await policyOutlooks<PolicySpec>(orchestrator.ledger, namespace)).map((each) => [each.name, each]),
  );
  let isSettled = true;
  await several(resources, REPORTS_AT_ONCE, async (resource) => {
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
  return isSettled ? 'settled' : 'again';
}

async function acceptAll({ orchestrator, schemas, namespace, resources }: NamespacePass) {
  const { ledger, localStore } = orchestrator;
  const written = new Map(resources.map((each) => [keyOf(each), readOnce(each, schemas)] as const));
  const specs = await ledgerSpecs(ledger, namespace);
  const rows = new Map(
    (await listClusterObjects(ledger, namespace)).map((row) => [`${row.kind} ${namespace}/${row.name}`, row]),
  );
  const readings = checkedTogether(written, await referable(ledger, [namespace], localStore));
  const refused = await applyAll(orchestrator, differing(resources, readings, { specs, rows }));
  return new Map([...readings, ...refused]);
}

/** Informers keep one object for as long as it stays the same. */
const read = new WeakMap<CustomResource, Reading>();

function readOnce(resource: CustomResource, schemas: Schemas): Reading {
  const reading = read.get(resource) ?? readResource(resource, schemas);
  read.set(resource, reading);
  return reading;
}

async function retireGone({ orchestrator, namespace, resources }: NamespacePass): Promise<void> {
  const { ledger, log } = orchestrator;
  const keys = new Set(resources.map(keyOf));
  const rows = await listClusterObjects(ledger, namespace);
  const gone = rows.filter(({ kind, name }) => !keys.has(`${kind} ${namespace}/${name}`));
  if (gone.length === 0) return;
  const policies = await policyOutlooks<PolicySpec>(ledger, namespace);
  const followed = new Set(rows.filter(({ kind }) => kind === 'RotationPolicy').map(({ name }) => name));
  for (const row of retirable(gone, policies, followed)) {
    if (await retire(orchestrator, row))
      log.info({ object: `${row.kind} ${namespace}/${row.name}` }, 'gone from the cluster');
  }
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

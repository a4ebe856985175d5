import { type DraftManifest, type Imported, isStorePath, naming } from '../draft.ts';
import type { Import } from '../import.ts';
import { at, type Found, findObjects, type ObjectOptions } from './objects.ts';
import { isWorkload, secretsOf, WORKLOADS, workloadFieldsOf } from './workloads.ts';

const SEALED = 'SealedSecret';
const INJECT = 'vault.hashicorp.com/agent-inject-secret-';

/** Policies for Secrets that Reloader watches, Sealed Secrets keeps or Vault's agent fetches. @throws RotorError */
export async function importAnnotations(options: ObjectOptions): Promise<Import> {
  return mapAnnotations(await findObjects(options, [...WORKLOADS, ['bitnami.com/v1alpha1', SEALED]]));
}

/** Pure. */
export function mapAnnotations(objects: readonly Found[]): Import {
  const nameFor = naming();
  const workloads = objects.filter(isWorkload);
  const reloaded = new Map<string, { namespace: string; secret: string; by: Found[] }>();
  for (const workload of workloads)
    for (const secret of reloadedBy(workload)) {
      const { namespace } = workload.metadata;
      const key = `${namespace}/${secret}`;
      const known = reloaded.get(key) ?? { namespace, secret, by: [] };
      reloaded.set(key, { ...known, by: [...known.by, workload] });
    }
  const sealed = objects.filter(({ kind }) => kind === SEALED);
  const isSealed = (namespace: string, name: string) =>
    sealed.some(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
  const found = [
    ...[...reloaded.values()]
      .filter(({ namespace, secret }) => !isSealed(namespace, secret))
      .map((each) => policyOf(each, nameFor)),
    ...sealed.map(
      ({ metadata }): Imported => ({
        found: `SealedSecret ${metadata.namespace}/${metadata.name}`,
        manifests: [],
        unmapped:
          'its controller would put the sealed value back over each new one: keep it in a store, then import the workloads',
      }),
    ),
    ...workloads.flatMap((workload) => injectedInto(workload)),
  ];
  const used = found.some(({ manifests }) => manifests.length > 0);
  return {
    found,
    shared: [],
    remarks: used ? ['versions are kept in the store "local", until `spec.store` names another'] : [],
  };
}

/** Secrets whose change makes Reloader restart the workload (docs.stakater.com, "Reloader annotations"). */
function reloadedBy(workload: Found): readonly string[] {
  const notes = workload.metadata.annotations;
  const inPods = at(workload, 'spec', 'template', 'metadata', 'annotations');
  const note = (name: string) => notes[name] ?? at(inPods, name);
  if (note('reloader.stakater.com/ignore') === 'true') return [];
  const named = note('secret.reloader.stakater.com/reload');
  const auto = ['reloader.stakater.com/auto', 'secret.reloader.stakater.com/auto'].some(
    (name) => note(name) === 'true',
  );
  return [
    ...new Set([
      ...(typeof named === 'string' ? named.split(',').map((each) => each.trim()) : []),
      ...(auto ? secretsOf(workload) : []),
    ]),
  ].filter((name) => name !== '');
}

function policyOf(
  { namespace, secret, by }: { namespace: string; secret: string; by: readonly Found[] },
  nameFor: (text: string) => string,
): Imported {
  const found = `Secret ${namespace}/${secret}`;
  const path = `${namespace}/${secret}`;
  if (!isStorePath(path)) return { found, manifests: [], unmapped: 'its name is no path that a store has' };
  const policy: DraftManifest = {
    kind: 'RotationPolicy',
    name: nameFor(secret),
    notes: [`From Secret ${path}, which Reloader watches. Its value was not read.`],
    open: [
      'spec.credential, spec.provider: a Secret does not say where the credential is valid',
      'spec.deliver[0].secret.data: templates of its keys, where they differ from the fields of the credential',
    ],
    spec: {
      store: { name: 'local', path },
      deliver: [{ secret: { name: secret, namespaces: [namespace], adopt: true } }],
      consumers: by.map((each) => ({
        name: each.metadata.name,
        delegated: { to: 'reloader', ...workloadFieldsOf(each), secretName: secret },
      })),
      suspend: true,
    },
  };
  return { found, manifests: [policy] };
}

/** What Vault's agent injects is fetched from Vault by path; Rotor knows no consumer that learns of it so. */
function injectedInto(workload: Found): readonly Imported[] {
  const notes = {
    ...workload.metadata.annotations,
    ...(at(workload, 'spec', 'template', 'metadata', 'annotations') as object),
  };
  return Object.entries(notes).flatMap(([name, path]): Imported[] => {
    if (!name.startsWith(INJECT) || typeof path !== 'string') return [];
    const found = `${workload.kind} ${workload.metadata.namespace}/${workload.metadata.name}, Vault path ${path}`;
    const unmapped = path.includes('/static-creds/')
      ? 'a static role: `rotor import vault` imports it'
      : path.includes('/creds/')
        ? 'a dynamic credential: Vault makes one for each pod, and there is nothing to rotate'
        : 'the agent fetches it from KV: write a policy with a `vault` Store and this path, and how the pods learn of a new one';
    return [{ found, manifests: [], unmapped }];
  });
}

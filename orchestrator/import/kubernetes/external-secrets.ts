import { type DraftManifest, type Imported, isStorePath, naming } from '../draft.ts';
import type { Import } from '../import.ts';
import { at, type Found, findObjects, listAt, type ObjectOptions, textAt } from './objects.ts';
import { type MappedStore, storeFor } from './secret-stores.ts';
import { isWorkload, secretsOf, WORKLOADS, workloadFieldsOf } from './workloads.ts';

const V1 = 'external-secrets.io/v1';

/** Policies for what External Secrets copies, with the workloads that read the copies. @throws RotorError */
export async function importExternalSecrets(
  options: ObjectOptions,
  storeKinds: readonly string[],
): Promise<Import> {
  const kinds = ['ExternalSecret', 'SecretStore', 'ClusterSecretStore'].map((kind) => [V1, kind] as const);
  return mapExternalSecrets(await findObjects(options, [...kinds, ...WORKLOADS]), storeKinds);
}

/** Pure. */
export function mapExternalSecrets(objects: readonly Found[], storeKinds: readonly string[]): Import {
  const [storeName, policyName] = [naming(), naming()];
  const stores = new Map<string, MappedStore | string>();
  const storeOf = (external: Found): MappedStore | string => {
    const kind = textAt(external, 'spec', 'secretStoreRef', 'kind') ?? 'SecretStore';
    const name = textAt(external, 'spec', 'secretStoreRef', 'name');
    if (!name) return 'it names no store of its own (secretStoreRef): only such are imported';
    const namespace = kind === 'SecretStore' ? external.metadata.namespace : '';
    const key = `${kind} ${namespace}/${name}`;
    const found = objects.find(
      (each) =>
        each.kind === kind &&
        each.metadata.name === name &&
        (kind !== 'SecretStore' || each.metadata.namespace === namespace),
    );
    const store =
      stores.get(key) ??
      (found
        ? storeFor(found, storeName(name), storeKinds)
        : `its ${kind} ${name} was not found: name its file too, or allow Rotor to list it`);
    stores.set(key, store);
    return store;
  };
  const workloads = objects.filter(isWorkload);
  const found = objects
    .filter(({ kind }) => kind === 'ExternalSecret')
    .flatMap((external) => policiesOf(external, storeOf(external), workloads, policyName));
  const shared = [...stores.values()].flatMap((store) => (typeof store === 'string' ? [] : [store.manifest]));
  return { found, shared, remarks: [] };
}

/** One policy for each key that is copied: each is a credential of its own. */
function policiesOf(
  external: Found,
  store: MappedStore | string,
  workloads: readonly Found[],
  nameFor: (text: string) => string,
): readonly Imported[] {
  const { name, namespace } = external.metadata;
  const what = `ExternalSecret ${namespace}/${name}`;
  if (typeof store === 'string') return [{ found: what, manifests: [], unmapped: store }];
  const fields = fieldsByKey(external);
  if (fields.size === 0)
    return [
      {
        found: what,
        manifests: [],
        unmapped: 'it names no key: one that finds or generates has no path to rotate',
      },
    ];
  const secretName = textAt(external, 'spec', 'target', 'name') ?? name;
  const readers = workloads.filter(
    (each) => each.metadata.namespace === namespace && secretsOf(each).includes(secretName),
  );
  return [...fields].map(([key, keys]): Imported => {
    const path = store.pathOf(key);
    const found = fields.size > 1 ? `${what}, key ${key}` : what;
    if (!isStorePath(path))
      return { found, manifests: [], unmapped: `its key ${key} is no path that a store here has` };
    const policy: DraftManifest = {
      kind: 'RotationPolicy',
      name: nameFor(fields.size > 1 ? `${name}-${path}` : name),
      notes: [
        `From ${what}. Its pods have to be restarted by Reloader: annotate them as docs/rollouts.md has it.`,
      ],
      open: [
        'spec.credential, spec.provider: an ExternalSecret does not say where the credential is valid',
        ...(readers.length > 0
          ? []
          : [`spec.consumers: no workload was found that reads Secret ${secretName}`]),
        ...(textAt(external, 'spec', 'refreshInterval') === '0' ||
        at(external, 'spec', 'refreshPolicy') === 'CreatedOnce'
          ? ['the ExternalSecret copies once only (refreshInterval, refreshPolicy): let it refresh']
          : []),
      ],
      spec: {
        store: { name: store.manifest.name, path },
        consumers: readers.map((each) => ({
          name: each.metadata.name,
          delegated: {
            to: 'external-secrets',
            ...workloadFieldsOf(each),
            secretName,
            ...(secretName === name ? {} : { externalSecret: name }),
            ...(keys.size > 0 ? { keys: Object.fromEntries(keys) } : {}),
          },
        })),
        suspend: true,
      },
    };
    return { found, manifests: [policy] };
  });
}

/** Keys of the copied Secret and the fields they come from, by remote key; no fields where all are copied as they are. */
function fieldsByKey(external: Found): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const keys = new Map<string, Map<string, string>>();
  const of = (key: string) => keys.get(key) ?? keys.set(key, new Map()).get(key);
  for (const each of listAt(external, 'spec', 'data')) {
    const key = textAt(each, 'remoteRef', 'key');
    const [secretKey, property] = [textAt(each, 'secretKey'), textAt(each, 'remoteRef', 'property')];
    if (key && secretKey && property) of(key)?.set(secretKey, property);
    else if (key) of(key);
  }
  for (const each of listAt(external, 'spec', 'dataFrom')) {
    const key = textAt(each, 'extract', 'key');
    if (key) of(key);
  }
  return keys;
}

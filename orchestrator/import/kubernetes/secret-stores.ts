import type { DraftManifest } from '../draft.ts';
import { at, type Found, textAt } from './objects.ts';

/** A SecretStore as a Store here, and what a remote key of it is called there. */
export interface MappedStore {
  readonly manifest: DraftManifest;
  /** Path in the Store of a remote key. */
  pathOf(key: string): string;
}

/**
 * The Store for a SecretStore or ClusterSecretStore of External Secrets (external-secrets.io, "Provider"). Pure.
 * @param kinds of stores that this version has
 * @returns in words why there is none
 */
export function storeFor(store: Found, name: string, kinds: readonly string[]): MappedStore | string {
  const provider = at(store, 'spec', 'provider');
  const [kind = 'none'] = typeof provider === 'object' && provider !== null ? Object.keys(provider) : [];
  const map = MAPPINGS[kind];
  const mapped = map?.(at(provider, kind));
  const known = mapped !== undefined && kinds.includes(mapped.kind);
  if (!mapped || !known)
    return `Rotor keeps nothing where its store is (provider ${kind}): docs/stores.md has the stores there are`;
  const { metadata } = store;
  return {
    manifest: {
      kind: 'Store',
      name,
      notes: [
        `From ${store.kind} ${metadata.name}. Rotor writes there: the workers need rights of their own.`,
      ],
      spec: { [mapped.kind]: mapped.spec },
      open: mapped.open ?? [],
    },
    pathOf: mapped.pathOf ?? ((key) => key),
  };
}

interface Mapping {
  readonly kind: string;
  readonly spec: object;
  readonly open?: readonly string[];
  readonly pathOf?: (key: string) => string;
}

const MAPPINGS: Readonly<Record<string, (spec: unknown) => Mapping | undefined>> = {
  aws: (spec) => {
    const common = { ...some('region', textAt(spec, 'region')), ...some('roleArn', textAt(spec, 'role')) };
    const prefix = some('prefix', textAt(spec, 'prefix'));
    if (textAt(spec, 'service') === 'ParameterStore')
      return {
        kind: 'awsParameterStore',
        spec: { ...common, prefix: textAt(spec, 'prefix') ?? '/' },
        pathOf: (key) => key.replace(/^\//, ''),
      };
    return { kind: 'awsSecretsManager', spec: { ...common, ...prefix } };
  },
  vault: (spec) => {
    if ((textAt(spec, 'version') ?? 'v2') !== 'v2') return undefined;
    const mount = textAt(spec, 'path') ?? 'secret';
    const role = textAt(spec, 'auth', 'kubernetes', 'role');
    const way = some('mount', textAt(spec, 'auth', 'kubernetes', 'mountPath'));
    return {
      kind: 'vault',
      spec: {
        address: textAt(spec, 'server') ?? '',
        ...some('namespace', textAt(spec, 'namespace')),
        mount,
        ...(role ? { auth: { kubernetes: { role, ...way } } } : {}),
      },
      open: role ? [] : ['spec.vault.auth: how the workers log in (docs/vault.md)'],
      // Both forms are in use: with the mount and `data/` before it, and without.
      pathOf: (key) => key.replace(new RegExp(`^${escaped(mount)}/`), '').replace(/^data\//, ''),
    };
  },
  gcpsm: (spec) => {
    const project = textAt(spec, 'projectID');
    return {
      kind: 'gcpSecretManager',
      spec: { ...some('project', project), ...some('location', textAt(spec, 'location')) },
      open: project ? [] : ['spec.gcpSecretManager.project: the project that the secrets are in'],
      pathOf: (key) => key.replaceAll('--', '/'),
    };
  },
  azurekv: (spec) => ({
    kind: 'azureKeyVault',
    spec: {
      vaultUrl: (textAt(spec, 'vaultUrl') ?? '').replace(/\/$/, ''),
      ...some('tenantId', textAt(spec, 'tenantId')),
    },
    pathOf: (key) => key.replace(/^secret\//, '').replaceAll('--', '/'),
  }),
};

function some(field: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { [field]: value };
}

const escaped = (text: string) => text.replaceAll(/[^\w/]/g, '\\$&');

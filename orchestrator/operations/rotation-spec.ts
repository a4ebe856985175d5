import { RotorError } from '../../core/errors.ts';
import type { Ledger } from '../../ledger/database.ts';
import type { Policy } from '../../ledger/policies.ts';
import { getResource } from '../../ledger/resources.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import type { KindSpec, PolicySpec, ProviderSpec } from '../manifests/manifest.ts';

/** Looks up a provider or a store. @throws RotorError `ledger.not-found` */
export type Resources = <Spec>(
  kind: 'Provider' | 'Store',
  namespace: string,
  name: string,
) => Promise<{ readonly spec: Spec }>;

export function fromLedger(ledger: Ledger): Resources {
  return (kind, namespace, name) => getResource(ledger, kind, namespace, name);
}

/** Asks the ledger once for each: for many policies, which name the same few. */
export function rememberingResources(ledger: Ledger): Resources {
  const known = new Map<string, Promise<{ readonly spec: unknown }>>();
  return <Spec>(kind: 'Provider' | 'Store', namespace: string, name: string) => {
    const key = `${kind} ${namespace}/${name}`;
    const found = known.get(key) ?? getResource(ledger, kind, namespace, name);
    known.set(key, found);
    return found as Promise<{ readonly spec: Spec }>;
  };
}

/**
 * Resolves what a policy names into what a rotation works by.
 * @throws RotorError `ledger.not-found` when its provider or store is gone
 */
export async function rotationSpecOf(
  resources: Resources,
  { namespace, name, spec }: Policy<PolicySpec>,
  localStore: KindSpec,
): Promise<{ readonly spec: RotationSpec; readonly provider: string | undefined }> {
  const provider =
    spec.provider === undefined ? undefined : await providerOf(resources, namespace, spec.provider, name);
  const store = await storeOf(resources, namespace, spec.store.name, localStore);
  return {
    provider: spec.provider === undefined ? undefined : `${namespace}/${spec.provider}`,
    spec: {
      rotator: {
        kind: spec.credential.kind,
        credential: spec.credential.spec,
        ...(provider ? { provider: provider.spec } : {}),
      },
      store: { ...store, path: spec.store.path },
      ...(spec.initialFrom ? { initialFrom: spec.initialFrom } : {}),
      deliver: spec.deliver,
      consumers: spec.consumers,
      ...(spec.rollout ? { rollout: spec.rollout } : {}),
      settle: spec.settle,
      ...(provider?.maxConcurrent === undefined ? {} : { maxConcurrent: provider.maxConcurrent }),
    },
  };
}

async function providerOf(
  resources: Resources,
  namespace: string,
  name: string,
  policy: string,
): Promise<ProviderSpec> {
  const { spec } = await resources<ProviderSpec>('Provider', namespace, name).catch((thrown) => {
    if (!(thrown instanceof RotorError) || thrown.code !== 'ledger.not-found') throw thrown;
    throw new RotorError('ledger.not-found', {
      what: `policy ${namespace}/${policy}: its provider ${name} is gone`,
      hint: `Apply a Provider named ${name} in namespace ${namespace} again.`,
    });
  });
  return spec;
}

async function storeOf(
  resources: Resources,
  namespace: string,
  name: string,
  localStore: KindSpec,
): Promise<KindSpec> {
  try {
    return (await resources<KindSpec>('Store', namespace, name)).spec;
  } catch (thrown) {
    const builtIn = name === 'local' && thrown instanceof RotorError && thrown.code === 'ledger.not-found';
    if (builtIn) return localStore;
    throw thrown;
  }
}

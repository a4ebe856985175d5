import type { Call } from '../../../core/call.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import { forceSync, neverCopied, notReady } from '../../kubernetes/external-secrets.ts';
import type { DelegatedSpec } from './spec.ts';

/** A controller that copies a Secret from the store into the cluster. */
export interface Copier {
  /** The object that tells it what to copy. */
  readonly source: ObjectRef;
  /** Why it won't copy in time, before anything is changed. */
  obstacle(source: ClusterObject): string | undefined;
  /**
   * Makes it copy now, and again now and then: a store may take a while until it gives the new version everywhere.
   * @returns since when it has been told of this version, in milliseconds since 1970
   */
  trigger?(call: Call, cluster: Cluster, source: ClusterObject, versionId: string): Promise<number>;
}

/** @returns undefined when Rotor itself delivers */
export function copierOf(spec: DelegatedSpec): Copier | undefined {
  if (spec.to === 'external-secrets') return externalSecrets(spec);
  if (spec.to === 'vault-secrets-operator') return vaultSecretsOperator(spec);
  return undefined;
}

/** The ExternalSecret that makes the Secret. */
function externalSecrets({
  namespace,
  secretName,
  externalSecret: name = secretName,
}: DelegatedSpec): Copier {
  const source = { apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', namespace, name };
  return {
    source,
    obstacle: (found) => {
      const target: string = found.spec?.target?.name ?? name;
      if (target !== secretName) return `it makes secret ${target}, not ${secretName}`;
      return neverCopied(found) ?? notReady(found);
    },
    trigger: (call, cluster, found, versionId) => forceSync(call, cluster, source, found, versionId),
  };
}

/**
 * https://developer.hashicorp.com/vault/docs/platform/k8s/vso/api-reference (VaultStaticSecret): it looks again every
 * `refreshAfter`, and knows no way to be told.
 */
function vaultSecretsOperator(spec: DelegatedSpec): Copier {
  const { namespace, secretName, vaultStaticSecret: name = secretName, deployment, statefulSet } = spec;
  const kind = deployment ? 'Deployment' : statefulSet ? 'StatefulSet' : 'DaemonSet';
  const workload = deployment ?? statefulSet ?? spec.daemonSet;
  return {
    source: { apiVersion: 'secrets.hashicorp.com/v1beta1', kind: 'VaultStaticSecret', namespace, name },
    obstacle: ({ spec: found = {} }) => {
      if (found.destination?.name !== secretName)
        return `it makes secret ${found.destination?.name}, not ${secretName}`;
      const targets: readonly { kind?: string; name?: string }[] = found.rolloutRestartTargets ?? [];
      if (!targets.some((target) => target.kind === kind && target.name === workload))
        return `its rolloutRestartTargets don't name ${kind} ${workload}, so that nobody restarts its pods`;
      if (found.hmacSecretData === false) return 'its hmacSecretData is false, with which it restarts nobody';
      if (found.type === 'kv-v2' && (found.version ?? 0) > 0)
        return `it copies version ${found.version} of the path for ever`;
      if (!found.refreshAfter && !found.syncConfig?.instantUpdates)
        return 'it has neither refreshAfter nor syncConfig.instantUpdates, so that it never looks again';
      return undefined;
    },
  };
}

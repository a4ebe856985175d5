import type { Call } from '../../../core/call.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../../core/kubernetes/cluster.ts';
import type { DelegatedSpec } from './spec.ts';

/** Annotation that makes External Secrets copy at once: any change of an ExternalSecret's metadata does. */
const FORCE_SYNC = 'force-sync';

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

/** https://external-secrets.io/latest/introduction/faq/ (force-sync), /api/externalsecret/ (refreshPolicy). */
function externalSecrets({
  namespace,
  secretName,
  externalSecret: name = secretName,
}: DelegatedSpec): Copier {
  const source = { apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', namespace, name };
  return {
    source,
    obstacle: ({ spec = {}, status }) => {
      const target: string = spec.target?.name ?? name;
      if (target !== secretName) return `it makes secret ${target}, not ${secretName}`;
      if (spec.target?.immutable === true) return 'its target is immutable, so that it is never copied again';
      if (spec.refreshPolicy === 'CreatedOnce')
        return 'its refreshPolicy is CreatedOnce: it never copies again';
      if (spec.refreshPolicy !== 'OnChange' && /^0[a-z]*$/.test(spec.refreshInterval ?? ''))
        return 'its refreshInterval is 0, with which some versions never copy again; set refreshPolicy: OnChange';
      return notReady(status, 'Ready');
    },
    trigger: async (call, cluster, found, versionId) => {
      const nowMs = call.clock.now().getTime();
      const told = found.metadata?.annotations?.[FORCE_SYNC];
      const { value, sinceMs } = nextForceSync(told, versionId, nowMs);
      if (value !== told)
        await cluster.mergePatch(call, source, { metadata: { annotations: { [FORCE_SYNC]: value } } });
      return sinceMs;
    },
  };
}

const AGAIN_MS = 30_000;

/** What the annotation must say now: which version, since when, and how often it was asked for again. */
export function nextForceSync(
  told: string | undefined,
  versionId: string,
  nowMs: number,
): { readonly value: string; readonly sinceMs: number } {
  const [, version, since = ''] = /^(\S+) since (\S+)/.exec(told ?? '') ?? [];
  const known = version === versionId ? Date.parse(since) : Number.NaN;
  const sinceMs = Number.isNaN(known) ? nowMs : known;
  const again = Math.max(0, Math.floor((nowMs - sinceMs) / AGAIN_MS));
  const value = `${versionId} since ${new Date(sinceMs).toISOString()}`;
  return { value: again === 0 ? value : `${value} again ${again}`, sinceMs };
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

/** What a copier says of itself, for people. */
export function saidBy({ status }: ClusterObject): string {
  const conditions: readonly { type?: string; status?: string; reason?: string }[] = status?.conditions ?? [];
  return conditions.map(({ type, status: is, reason }) => `${type}=${is} ${reason ?? ''}`.trim()).join(', ');
}

function notReady(status: ClusterObject['status'], type: string): string | undefined {
  const conditions: readonly { type?: string; status?: string; reason?: string }[] = status?.conditions ?? [];
  const found = conditions.find((condition) => condition.type === type);
  if (found?.status === 'True') return undefined;
  return `it is not ready (${found?.reason ?? 'it says nothing yet'})`;
}

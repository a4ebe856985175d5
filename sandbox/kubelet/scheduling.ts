import { type Api, statusOf } from '../controllers/client/api.ts';
import { PODS } from '../controllers/client/kinds.ts';
import { matchesAll, matchesRule, type SelectorRule } from '../controllers/client/selector.ts';
import type { Node, Pod } from '../controllers/client/wire.ts';

/** Whether a pod without a node may run on this one. */
export function fits(pod: Pod, node: Node): boolean {
  const { spec, metadata } = pod;
  if (spec.nodeName || metadata.deletionTimestamp || spec.schedulingGates?.length) return false;
  if ((spec.schedulerName ?? 'default-scheduler') !== 'default-scheduler') return false;
  const labels = node.metadata.labels ?? {};
  if (!matchesAll(spec.nodeSelector ?? {}, labels)) return false;
  const repelled =
    node.spec?.unschedulable === true && !tolerates(pod, { key: 'node.kubernetes.io/unschedulable' });
  if (repelled) return false;
  const hard = (node.spec?.taints ?? []).filter(({ effect }) => effect !== 'PreferNoSchedule');
  if (!hard.every((taint) => tolerates(pod, taint))) return false;
  const terms =
    spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return !terms || terms.some((term) => termMatches(term, node.metadata.name, labels));
}

interface Term {
  readonly matchExpressions?: readonly SelectorRule[];
  readonly matchFields?: readonly SelectorRule[];
}

function termMatches(term: Term, name: string, labels: Record<string, string>): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  return (
    matchExpressions.every((rule) => matchesRule(rule, labels)) &&
    matchFields.every((rule) => matchesRule(rule, { 'metadata.name': name }))
  );
}

function tolerates(
  { spec }: Pod,
  taint: { readonly key: string; readonly value?: string; readonly effect?: string },
): boolean {
  return (spec.tolerations ?? []).some(
    ({ key, operator, value, effect }) =>
      (!key || key === taint.key) &&
      (!effect || !taint.effect || effect === taint.effect) &&
      (operator === 'Exists' || (value ?? '') === (taint.value ?? '')),
  );
}

/** Gives a pod to a node. Another node was faster, or the pod is gone: nothing to do. */
export async function bind(api: Api, { metadata }: Pod, node: string): Promise<void> {
  const { name, namespace, uid } = metadata;
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, uid },
    target: { apiVersion: 'v1', kind: 'Node', name: node },
  };
  try {
    await api.createIn(PODS, metadata, 'binding', binding);
  } catch (error) {
    const status = statusOf(error);
    if (status === 409) return;
    if (status !== 404 && status !== 405) throw error;
    // A server without the binding subresource. For a pod that is gone, this finds nothing either.
    await api.patch(PODS, metadata, { spec: { nodeName: node } }).catch((again: unknown) => {
      if (![404, 409].includes(statusOf(again) ?? 0)) throw again;
    });
  }
}

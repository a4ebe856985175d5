import type { Consumer } from '../../kubernetes/consumers/consumer-index.ts';
import { needsRestart } from '../../kubernetes/consumers/references.ts';
import type { WorkloadKind } from '../../kubernetes/workloads.ts';
import { TWIN_OF } from '../blue-green/twin.ts';
import type { Excluded } from './spec.ts';

/** How a workload that reads the Secret comes to the new version. */
export type Disposition =
  | { readonly do: 'roll'; readonly kind: WorkloadKind }
  | { readonly do: 'argo' }
  /** Nothing of it runs now: its next pods read what the Secret carries then. */
  | { readonly do: 'next-run' }
  /** What runs now keeps the old one until it ends by itself. */
  | { readonly do: 'wait-for-end' }
  /** It keeps nothing of the old one. */
  | { readonly do: 'nothing'; readonly why: string }
  | { readonly do: 'acknowledged'; readonly reason: string }
  /** Nobody can replace its pods, unless they were made after the delivery. */
  | { readonly do: 'refuse'; readonly why: string; readonly hint: string };

const EXCLUDE = 'exclude it (`exclude: [{kind, name, acknowledged: true, reason}]`)';

/** @returns undefined for what Rotor itself has made and will remove */
export function dispositionOf(consumer: Consumer, exclude: readonly Excluded[]): Disposition | undefined {
  if (consumer.labels[TWIN_OF] !== undefined) return undefined;
  const { kind, name, namespace, references } = consumer;
  const excluded = exclude.find(
    (each) => each.kind === kind && each.name === name && (each.namespace ?? namespace) === namespace,
  );
  if (excluded) return { do: 'acknowledged', reason: excluded.reason };
  if (!needsRestart(references))
    return { do: 'nothing', why: 'read when an image is pulled, never by the program' };
  return byKind(consumer);
}

/** The same of one whose programs read the Secret, by what it is. */
export function byKind({ kind, pods, apiVersion }: Consumer): Disposition {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  switch (`${group}/${kind}`) {
    case 'apps/Deployment':
    case 'apps/StatefulSet':
    case 'apps/DaemonSet':
      return { do: 'roll', kind: kind as WorkloadKind };
    case 'argoproj.io/Rollout':
      return { do: 'argo' };
    case 'batch/CronJob':
      return { do: 'next-run' };
    case 'batch/Job':
      return { do: 'wait-for-end' };
    case 'apps/ReplicaSet':
      return pods.length === 0
        ? { do: 'next-run' }
        : {
            do: 'refuse',
            why: 'no controller replaces the pods of a bare ReplicaSet',
            hint: `Give it an owner (a Deployment), or ${EXCLUDE}.`,
          };
    case '/Pod':
      return {
        do: 'refuse',
        why: 'nobody replaces a bare pod',
        hint: `Give it an owner (a Deployment or a Job), or ${EXCLUDE}.`,
      };
    default:
      return {
        do: 'refuse',
        why: `Rotor can't roll the pods of a ${kind}`,
        hint: `List it as a consumer of its own that is told to reload, or ${EXCLUDE}.`,
      };
  }
}

/** The disposition in words, for `rotor plan`. */
export function movesOf(disposition: Disposition): string {
  switch (disposition.do) {
    case 'roll':
      return 'rolling';
    case 'argo':
      return 'argoRollouts';
    case 'next-run':
      return 'its next run';
    case 'wait-for-end':
      return 'waits until it ends';
    case 'nothing':
      return `nothing to do: ${disposition.why}`;
    case 'acknowledged':
      return `excluded: ${disposition.reason}`;
    case 'refuse':
      return `refused: ${disposition.why}`;
  }
}

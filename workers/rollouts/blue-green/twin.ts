import { createHash } from 'node:crypto';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import type { DeliveredSecret } from '../../kubernetes/delivered.ts';
import { podSpecReading } from '../../kubernetes/template-change.ts';

/** Label that tells the pods of the twin from those of the Deployment; the Service's selector names one of them. */
export const SLOT = 'rotor.dev/slot';
export const BLUE = 'blue';
/** Label of a twin: the Deployment that it was made of. */
export const TWIN_OF = 'rotor.dev/twin-of';

/** A slot for each version, so that a twin of an earlier rotation is never taken for this one's. */
export function slotOf(versionId: string): string {
  return `green-${createHash('sha256').update(versionId).digest('hex').slice(0, 8)}`;
}

export function twinName(deployment: string, slot: string): string {
  // A label of the pods is made of it and has 63 characters.
  return `${deployment.slice(0, 48)}-${slot}`;
}

/**
 * The green twin of a Deployment: the same in all but its name, its slot, and the version its pods start with (the name of
 * the Secret that holds it, too, where each version has a Secret of its own). Nobody else's controllers may take it for theirs, so owners and their bookkeeping stay behind.
 */
export function twinOf(
  blue: ClusterObject,
  slot: string,
  annotations: Readonly<Record<string, string>>,
  secret: DeliveredSecret,
): ClusterObject {
  const { name = '', namespace = '', labels = {} } = blue.metadata ?? {};
  const { selector, template, strategy: _strategy, ...spec } = plain(blue.spec);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: twinName(name, slot),
      namespace,
      labels: { ...withoutTracking(labels), [TWIN_OF]: name.slice(0, 63), [SLOT]: slot },
    },
    spec: {
      ...spec,
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [SLOT]: slot } },
      template: {
        ...template,
        metadata: {
          ...template?.metadata,
          labels: { ...template?.metadata?.labels, [SLOT]: slot },
          annotations: { ...template?.metadata?.annotations, ...annotations },
        },
        spec: podSpecReading(template?.spec ?? {}, secret),
      },
    },
  };
}

/** Argo CD and Helm would take a copy of their object for an object of theirs, and prune it. */
function withoutTracking(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const tracking =
    /^(app\.kubernetes\.io\/(instance|managed-by)|argocd\.argoproj\.io\/.*|helm\.sh\/.*|kustomize\.toolkit\.fluxcd\.io\/.*)$/;
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !tracking.test(name)));
}

/** The client gives typed objects with `undefined` in them; an API object is plain JSON. */
function plain(value: unknown): ClusterObject {
  return JSON.parse(JSON.stringify(value ?? {}));
}

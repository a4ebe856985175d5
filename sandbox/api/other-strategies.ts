import { ensureObject, type JsonObject, objectsAt, same, textAt, valueAt } from './json.ts';
import { fill } from './pod-defaults.ts';
import { type Cause, invalidValue, required, unsupported } from './status.ts';
import type { Strategy } from './strategy.ts';

const RBAC = 'rbac.authorization.k8s.io';

const binding: Strategy = {
  defaults: (object) => {
    fill(ensureObject(object, 'roleRef'), { apiGroup: RBAC });
    for (const subject of objectsAt(object, 'subjects')) {
      if (subject.kind === 'User' || subject.kind === 'Group') fill(subject, { apiGroup: RBAC });
    }
  },
  validate: (object) => {
    const causes: Cause[] = [];
    const kind = textAt(object, 'roleRef', 'kind') ?? '';
    const kinds = textAt(object, 'metadata', 'namespace') ? ['Role', 'ClusterRole'] : ['ClusterRole'];
    if (!kinds.includes(kind)) causes.push(unsupported('roleRef.kind', kind, kinds));
    if (!textAt(object, 'roleRef', 'name')) causes.push(required('roleRef.name'));
    return causes;
  },
  validateUpdate: (object, before) =>
    same(object.roleRef, before.roleRef)
      ? []
      : [invalidValue('roleRef', object.roleRef, 'cannot change roleRef')],
};

const role: Strategy = {
  defaults: (object) => fill(object, { rules: [] }),
  validate: (object) =>
    objectsAt(object, 'rules').flatMap((rule, index) => {
      const path = `rules[${index}]`;
      const causes: Cause[] = [];
      const has = (field: string) => valueAt(rule, field) !== undefined;
      if (!has('verbs')) causes.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
      if (has('nonResourceURLs')) return causes;
      if (!has('apiGroups'))
        causes.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
      if (!has('resources'))
        causes.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
      return causes;
    }),
};

const budget: Strategy = {
  created: (object) => {
    object.status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  },
  validate: (object) => {
    const { minAvailable, maxUnavailable } = ensureObject(object, 'spec');
    if (minAvailable === undefined || maxUnavailable === undefined) return [];
    const why = 'minAvailable and maxUnavailable cannot be both set';
    return [invalidValue('spec', ensureObject(object, 'spec'), why)];
  },
};

const scaler: Strategy = {
  created: (object) => {
    object.status = { desiredReplicas: 0, currentMetrics: null };
  },
  defaults: (object) => fill(ensureObject(object, 'spec'), { minReplicas: 1 }),
  validate: (object) => {
    const most = Number(valueAt(object, 'spec', 'maxReplicas') ?? 0);
    return most > 0 ? [] : [invalidValue('spec.maxReplicas', most, 'must be greater than 0')];
  },
};

const networkPolicy: Strategy = {
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    const types = spec.egress === undefined ? ['Ingress'] : ['Ingress', 'Egress'];
    fill(spec, { podSelector: {}, policyTypes: types });
  },
};

const PATH_TYPES = ['Exact', 'Prefix', 'ImplementationSpecific'];

const ingress: Strategy = {
  validate: (object) => {
    const spec = ensureObject(object, 'spec');
    if (spec.rules === undefined && spec.defaultBackend === undefined)
      return [invalidValue('spec', spec, 'either `defaultBackend` or `rules` must be specified')];
    return objectsAt(spec, 'rules').flatMap((rule, index) =>
      objectsAt(rule, 'http', 'paths').flatMap((path, at) => {
        const field = `spec.rules[${index}].http.paths[${at}]`;
        const type = textAt(path, 'pathType');
        if (type === undefined) return [required(`${field}.pathType`, 'pathType must be specified')];
        if (!PATH_TYPES.includes(type)) return [unsupported(`${field}.pathType`, type, PATH_TYPES)];
        return textAt(path, 'backend', 'service', 'name') || valueAt(path, 'backend', 'resource')
          ? []
          : [required(`${field}.backend`)];
      }),
    );
  },
};

const endpoints = (object: JsonObject) => {
  for (const subset of objectsAt(object, 'subsets')) {
    for (const port of objectsAt(subset, 'ports')) fill(port, { protocol: 'TCP' });
  }
};

const event: Strategy = {
  validate: (object) => {
    const own = textAt(object, 'metadata', 'namespace') ?? '';
    const named = textAt(object, 'involvedObject', 'namespace') ?? '';
    // Events about objects without a namespace are kept in the default one.
    if (named === own || (named === '' && own === 'default')) return [];
    return [invalidValue('involvedObject.namespace', named, 'does not match event.namespace')];
  },
};

/** A node of the sandbox makes a folder for any claim that a pod names: there is nothing to wait for. */
const claim: Strategy = {
  created: (object) => {
    object.status = { phase: 'Bound' };
  },
  defaults: (object) => fill(ensureObject(object, 'spec'), { volumeMode: 'Filesystem' }),
};

/** Kinds of the smaller groups. */
export const otherStrategies: Readonly<Record<string, Strategy>> = {
  '/Endpoints': { defaults: endpoints },
  '/Event': event,
  '/PersistentVolumeClaim': claim,
  'events.k8s.io/Event': event,
  [`${RBAC}/Role`]: role,
  [`${RBAC}/ClusterRole`]: role,
  [`${RBAC}/RoleBinding`]: binding,
  [`${RBAC}/ClusterRoleBinding`]: binding,
  'policy/PodDisruptionBudget': budget,
  'autoscaling/HorizontalPodAutoscaler': scaler,
  'networking.k8s.io/NetworkPolicy': networkPolicy,
  'networking.k8s.io/Ingress': ingress,
  'discovery.k8s.io/EndpointSlice': {
    defaults: (object) => {
      for (const port of objectsAt(object, 'ports')) fill(port, { name: '', protocol: 'TCP' });
    },
  },
};

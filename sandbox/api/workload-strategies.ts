import {
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  same,
  textAt,
  valueAt,
} from './json.ts';
import { fill, podSpecDefaults } from './pod-defaults.ts';
import { podSpecCauses } from './pod-validation.ts';
import { objectSelector } from './selectors.ts';
import { type Cause, forbiddenField, invalidValue, required, unsupported } from './status.ts';
import type { Strategy } from './strategy.ts';

const template = (object: JsonObject) => ensureObject(object, 'spec', 'template', 'spec');

function selectorCauses(object: JsonObject): Cause[] {
  const causes: Cause[] = [];
  const selector = valueAt(object, 'spec', 'selector');
  const labels = objectAt(object, 'spec', 'template', 'metadata', 'labels');
  if (selector === undefined) causes.push(required('spec.selector'));
  if (selector === undefined || !objectSelector(selector)(labels)) {
    const shown = Object.keys(labels).length > 0 ? labels : null;
    const field = 'spec.template.metadata.labels';
    causes.push(invalidValue(field, shown, '`selector` does not match template `labels`'));
  }
  return causes;
}

/** Workloads that keep pods running: a selector that matches the template, replicas, restart always. */
function alwaysRunning(object: JsonObject): Cause[] {
  const spec = objectAt(object, 'spec', 'template', 'spec');
  const claims = objectsAt(object, 'spec', 'volumeClaimTemplates');
  const claimed = claims.map((claim) => textAt(claim, 'metadata', 'name') ?? '');
  const causes = [...selectorCauses(object), ...podSpecCauses(spec, 'spec.template.spec', claimed)];
  const replicas = valueAt(object, 'spec', 'replicas');
  if (Number(replicas) < 0) {
    causes.unshift(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
  }
  const policy = textAt(spec, 'restartPolicy') ?? '';
  if (policy !== 'Always') {
    causes.push(unsupported('spec.template.spec.restartPolicy', policy, ['Always']));
  }
  return causes;
}

function selectorKept(object: JsonObject, before: JsonObject): Cause[] {
  const selector = valueAt(object, 'spec', 'selector');
  if (same(selector, valueAt(before, 'spec', 'selector'))) return [];
  return [invalidValue('spec.selector', selector, 'field is immutable')];
}

function status(initial: JsonObject): (object: JsonObject) => void {
  return (object) => {
    object.status = structuredClone(initial);
  };
}

function intOrPercent(): JsonObject {
  return { maxUnavailable: '25%', maxSurge: '25%' };
}

const deployment: Strategy = {
  created: status({}),
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    fill(spec, { replicas: 1, strategy: {}, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 });
    const strategy = ensureObject(spec, 'strategy');
    fill(strategy, { type: 'RollingUpdate' });
    if (strategy.type === 'RollingUpdate') fill(ensureObject(strategy, 'rollingUpdate'), intOrPercent());
    podSpecDefaults(template(object));
  },
  validate: (object) => {
    const causes = alwaysRunning(object);
    const strategy = objectAt(object, 'spec', 'strategy');
    if (strategy.type === 'Recreate' && isObject(strategy.rollingUpdate)) {
      const why = "may not be specified when strategy `type` is 'Recreate'";
      causes.push(forbiddenField('spec.strategy.rollingUpdate', why));
    }
    return causes;
  },
  validateUpdate: selectorKept,
};

const replicaSet: Strategy = {
  created: status({ replicas: 0 }),
  defaults: (object) => {
    fill(ensureObject(object, 'spec'), { replicas: 1 });
    podSpecDefaults(template(object));
  },
  validate: alwaysRunning,
  validateUpdate: selectorKept,
};

/** What may change in a StatefulSet; the message names all of them. */
const STATEFUL_MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

const statefulSet: Strategy = {
  created: status({ replicas: 0, availableReplicas: 0 }),
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    fill(spec, {
      replicas: 1,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: {},
      revisionHistoryLimit: 10,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
    const strategy = ensureObject(spec, 'updateStrategy');
    fill(strategy, { type: 'RollingUpdate' });
    if (strategy.type === 'RollingUpdate') fill(ensureObject(strategy, 'rollingUpdate'), { partition: 0 });
    podSpecDefaults(template(object));
  },
  validate: alwaysRunning,
  validateUpdate: (object, before) => {
    const fixed = (state: JsonObject) =>
      Object.fromEntries(
        Object.entries(objectAt(state, 'spec')).filter(([name]) => !STATEFUL_MUTABLE.includes(name)),
      );
    if (same(fixed(object), fixed(before))) return [];
    const named = STATEFUL_MUTABLE.map((name) => `'${name}'`);
    const list = `${named.slice(0, -1).join(', ')} and ${named.at(-1)}`;
    return [
      forbiddenField('spec', `updates to statefulset spec for fields other than ${list} are forbidden`),
    ];
  },
};

const daemonSet: Strategy = {
  created: status({
    currentNumberScheduled: 0,
    desiredNumberScheduled: 0,
    numberMisscheduled: 0,
    numberReady: 0,
  }),
  defaults: (object) => {
    const spec = ensureObject(object, 'spec');
    fill(spec, { updateStrategy: {}, revisionHistoryLimit: 10 });
    const strategy = ensureObject(spec, 'updateStrategy');
    fill(strategy, { type: 'RollingUpdate' });
    if (strategy.type === 'RollingUpdate') {
      fill(ensureObject(strategy, 'rollingUpdate'), { maxUnavailable: 1, maxSurge: 0 });
    }
    podSpecDefaults(template(object));
  },
  validate: alwaysRunning,
  validateUpdate: selectorKept,
};

const job: Strategy = {
  created: (object) => {
    object.status = {};
    const uid = textAt(object, 'metadata', 'uid') ?? '';
    const name = textAt(object, 'metadata', 'name') ?? '';
    const spec = ensureObject(object, 'spec');
    fill(spec, { manualSelector: false });
    if (spec.manualSelector === true) return;
    // The server's own selector keeps the pods of two jobs apart.
    spec.selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } };
    const labels = {
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': name,
      'controller-uid': uid,
      'job-name': name,
    };
    // Left without labels, a job has those of its pods.
    fill(ensureObject(object, 'metadata'), { labels });
    Object.assign(ensureObject(spec, 'template', 'metadata', 'labels'), labels);
  },
  defaults: (object) => jobSpecDefaults(ensureObject(object, 'spec')),
  validate: (object) => jobSpecCauses(objectAt(object, 'spec'), 'spec'),
  validateUpdate: (object, before) => {
    const now = valueAt(object, 'spec', 'template');
    if (same(now, valueAt(before, 'spec', 'template'))) return selectorKept(object, before);
    return [invalidValue('spec.template', now, 'field is immutable')];
  },
};

function jobSpecDefaults(spec: JsonObject): void {
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  fill(spec, {
    parallelism: 1,
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    suspend: false,
    podReplacementPolicy: 'TerminatingOrFailed',
  });
  podSpecDefaults(ensureObject(spec, 'template', 'spec'));
}

function jobSpecCauses(spec: JsonObject, path: string): Cause[] {
  const pod = objectAt(spec, 'template', 'spec');
  const policy = textAt(pod, 'restartPolicy') ?? '';
  const causes = podSpecCauses(pod, `${path}.template.spec`);
  if (policy !== 'OnFailure' && policy !== 'Never') {
    causes.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  }
  return causes;
}

const cronJob: Strategy = {
  created: status({}),
  defaults: (object) => {
    fill(ensureObject(object, 'spec'), {
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
    });
    podSpecDefaults(ensureObject(object, 'spec', 'jobTemplate', 'spec', 'template', 'spec'));
  },
  validate: (object) => {
    const causes = jobSpecCauses(objectAt(object, 'spec', 'jobTemplate', 'spec'), 'spec.jobTemplate.spec');
    return textAt(object, 'spec', 'schedule') ? causes : [required('spec.schedule'), ...causes];
  },
};

/** Kinds that run pods. */
export const workloadStrategies: Readonly<Record<string, Strategy>> = {
  'apps/Deployment': deployment,
  'apps/ReplicaSet': replicaSet,
  'apps/StatefulSet': statefulSet,
  'apps/DaemonSet': daemonSet,
  'batch/Job': job,
  'batch/CronJob': cronJob,
};

import { describe, expect, test } from 'vitest';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { madeSince } from './pod-evidence.ts';

const at = (seconds: number) => new Date(Date.parse('2026-11-01T12:00:00Z') + seconds * 1_000);
const WRITTEN = 10;

const pod = (madeAt: number | undefined, more: object = {}): ClusterObject => ({
  metadata: {
    name: 'web-a',
    ...(madeAt === undefined ? {} : { creationTimestamp: at(madeAt) }),
    ...(more as { metadata?: object }).metadata,
  },
  status: {
    conditions: [{ type: 'Ready', status: 'True' }],
    ...(more as { status?: object }).status,
  },
});

/** A Deployment of one pod whose rollout is complete. */
const workload = (
  templateAt: number | undefined,
  status: object = {},
  by: object = { 'f:template': {} },
): ClusterObject => ({
  kind: 'Deployment',
  metadata: {
    generation: 2,
    managedFields:
      templateAt === undefined
        ? []
        : [{ manager: 'reloader', time: at(templateAt), fieldsV1: { 'f:spec': by } }],
  },
  spec: { replicas: 1 },
  status: { observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1, ...status },
});

const restarted = {
  status: {
    initContainerStatuses: [{ name: 'init', state: { terminated: { startedAt: at(WRITTEN - 60) } } }],
    containerStatuses: [{ name: 'web', restartCount: 1, state: { running: { startedAt: at(WRITTEN + 5) } } }],
  },
};

describe('a pod has what was written to a Secret', () => {
  test.each<[string, ClusterObject, ClusterObject, RegExp | undefined]>([
    ['when it was made after it', pod(WRITTEN + 1), workload(WRITTEN - 60), undefined],
    ['but not when it was made before', pod(WRITTEN - 1), workload(WRITTEN + 1), /since before/],
    ['but not when nobody knows when it was made', pod(undefined), workload(WRITTEN + 1), /since before/],
    [
      'but not when only its containers were started again after it',
      pod(WRITTEN - 60, restarted),
      workload(WRITTEN - 60),
      /since before/,
    ],
    [
      'but not when it was made in the same second, of a template of before',
      pod(WRITTEN),
      workload(WRITTEN - 1),
      /in the very second/,
    ],
    [
      'but not in the same second when nobody is noted for its template',
      pod(WRITTEN),
      workload(undefined),
      /in the very second/,
    ],
    [
      'but not in the same second when only the number of pods was changed',
      pod(WRITTEN),
      workload(WRITTEN, {}, { 'f:replicas': {} }),
      /in the very second/,
    ],
    [
      'but not in the same second while pods of another template are left',
      pod(WRITTEN),
      workload(WRITTEN, { replicas: 2 }),
      /in the very second/,
    ],
    [
      'but not in the same second while its controller has not seen the template',
      pod(WRITTEN),
      workload(WRITTEN, { observedGeneration: 1 }),
      /in the very second/,
    ],
    [
      'but not in the same second when it is on its way out, of whatever template',
      pod(WRITTEN, { metadata: { deletionTimestamp: at(WRITTEN + 1) } }),
      workload(WRITTEN),
      /in the very second/,
    ],
    [
      'when it was made in the same second, and all pods are of a template that came no earlier',
      pod(WRITTEN),
      workload(WRITTEN),
      undefined,
    ],
  ])('%s', (_, made, of, problem) => {
    const seen = madeSince(made, of, at(WRITTEN).getTime());
    expect(seen).toMatchObject({ by: 'started-after', onVersion: problem === undefined, ready: true });
    if (problem) expect(seen.problem).toMatch(problem);
    else expect(seen).not.toHaveProperty('problem');
  });
});

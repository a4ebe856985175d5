import { describe, expect, test } from 'vitest';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { argoObstacle, argoProgress } from './progress.ts';

const healthy = {
  observedGeneration: '3',
  phase: 'Healthy',
  currentPodHash: 'new',
  stableRS: 'new',
  updatedReplicas: 2,
  availableReplicas: 2,
};
const steps = [{ setWeight: 20 }, { pause: {} }, { pause: { duration: '10m' } }];
const rollout = (status: object, spec: object = {}): ClusterObject => ({
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'Rollout',
  metadata: { name: 'web', namespace: 'shop', generation: 3 },
  spec: { replicas: 2, strategy: { canary: { steps } }, ...spec },
  status: { ...healthy, ...status },
});
const pausedAt = (index: number) => ({
  phase: 'Paused',
  currentStepIndex: index,
  controllerPause: true,
  pauseConditions: [{ reason: 'CanaryPauseStep' }],
});

describe('a Rollout', () => {
  test.each<[string, ClusterObject, object]>([
    ['that is healthy and stable is done', rollout({}), { state: 'done' }],
    [
      'of an older generation is moving',
      rollout({ observedGeneration: '2' }),
      { state: 'moving', detail: expect.stringMatching(/not seen/) },
    ],
    ['is compared by numbers', rollout({ observedGeneration: '10' }), { state: 'done' }],
    [
      'observed by a hash, as before v0.10, is believed',
      rollout({ observedGeneration: '5f6d8b' }),
      { state: 'done' },
    ],
    ['without a status is moving', { ...rollout({}), status: undefined }, { state: 'moving' }],
    [
      'whose new pods are not the stable ones is moving',
      rollout({ stableRS: 'old' }),
      { state: 'moving', detail: expect.stringMatching(/not the stable ones/) },
    ],
    [
      'with too few pods is moving',
      rollout({ availableReplicas: 1 }),
      { state: 'moving', detail: '1 of 2 pods are available' },
    ],
    [
      'says why it is moving',
      rollout({ phase: 'Progressing', message: 'more replicas need to be updated' }),
      { state: 'moving', detail: 'more replicas need to be updated' },
    ],
    [
      'that degrades says why',
      rollout({ phase: 'Degraded', message: 'ProgressDeadlineExceeded: timed out' }),
      { state: 'degraded', detail: 'ProgressDeadlineExceeded: timed out', aborted: false },
    ],
    [
      'that was aborted says so',
      rollout({ phase: 'Degraded', message: 'RolloutAborted: x', abort: true }),
      { state: 'degraded', aborted: true },
    ],
    [
      'of before that degraded is moving once it has a new template',
      rollout({ phase: 'Degraded', observedGeneration: '2' }),
      { state: 'moving' },
    ],
    [
      'waits for a person at a pause without end',
      rollout(pausedAt(1)),
      { state: 'paused', detail: 'it pauses at step 2 of 3', endsByItself: false, ofStrategy: true },
    ],
    [
      'waits by itself at a pause with one',
      rollout(pausedAt(2)),
      { state: 'paused', detail: 'it pauses at step 3 of 3 for 10m', endsByItself: true, ofStrategy: true },
    ],
    [
      'whose pause was just ended is moving',
      rollout({ phase: 'Progressing', controllerPause: true, pauseConditions: [] }),
      { state: 'moving', detail: 'its pause has just been ended' },
    ],
    [
      "that was paused by hand is nobody's to promote",
      rollout({ phase: 'Paused' }, { paused: true }),
      { state: 'paused', endsByItself: false, ofStrategy: false },
    ],
    [
      "whose analysis came to no end is nobody's to promote",
      rollout({ phase: 'Paused', pauseConditions: [{ reason: 'InconclusiveAnalysisRun' }] }),
      { state: 'paused', detail: 'it is paused (InconclusiveAnalysisRun)', ofStrategy: false },
    ],
    [
      'with a preview that promotes itself waits by itself',
      rollout(
        { phase: 'Paused', pauseConditions: [{ reason: 'BlueGreenPause' }] },
        { strategy: { blueGreen: { autoPromotionSeconds: 30 } } },
      ),
      { state: 'paused', endsByItself: true },
    ],
  ])('%s', (_, object, progress) => {
    expect(argoProgress(object)).toMatchObject(progress);
  });

  test('may move when it is healthy, and not while it is on its way to something else', () => {
    expect(argoObstacle(rollout({}))).toBeUndefined();
    expect(argoObstacle(rollout(pausedAt(1)))).toBe('it pauses at step 2 of 3');
    expect(argoObstacle(rollout({}, { paused: true }))).toMatch(/paused by hand/);
    expect(argoObstacle(rollout({}, { workloadRef: { kind: 'Deployment', name: 'web' } }))).toMatch(
      /workloadRef/,
    );
  });
});

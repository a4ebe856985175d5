import type { ClusterObject, ObjectRef } from '../../../core/kubernetes/cluster.ts';

export interface Paused {
  readonly state: 'paused';
  readonly detail: string;
  readonly endsByItself: boolean;
  /** Whether it is a pause of its strategy, and neither somebody's decision nor an analysis that came to no end. */
  readonly ofStrategy: boolean;
}

/** Where a Rollout stands on its way to the template that it was given. */
export type ArgoProgress =
  | { readonly state: 'done' }
  | { readonly state: 'moving'; readonly detail: string }
  /** Waits for a person, or for a pause to end. */
  | Paused
  | { readonly state: 'degraded'; readonly detail: string; readonly aborted: boolean };

interface Status {
  /** A number as text; before v0.10 a hash. */
  readonly observedGeneration?: string;
  readonly phase?: string;
  readonly message?: string;
  readonly currentPodHash?: string;
  readonly stableRS?: string;
  readonly updatedReplicas?: number;
  readonly availableReplicas?: number;
  readonly currentStepIndex?: number;
  readonly controllerPause?: boolean;
  readonly pauseConditions?: readonly { readonly reason?: string }[];
  readonly abort?: boolean;
}

/**
 * Reads a Rollout as `kubectl argo rollouts status` does (argoproj/argo-rollouts, utils/rollout/rolloututil.go), and
 * stricter: healthy is not enough, the template must have become the stable one.
 */
export function argoProgress(rollout: ClusterObject): ArgoProgress {
  const status: Status = rollout.status ?? {};
  const { phase, message = '', currentPodHash, stableRS } = status;
  if (!observed(rollout, status))
    return { state: 'moving', detail: 'its controller has not seen the change yet' };
  if (phase === undefined) return { state: 'moving', detail: 'its controller has not said anything yet' };
  if (phase === 'Degraded')
    return { state: 'degraded', detail: message || 'degraded', aborted: status.abort === true };
  if (phase === 'Paused') return paused(rollout, status);
  if (status.controllerPause && (status.pauseConditions ?? []).length === 0)
    return { state: 'moving', detail: 'its pause has just been ended' };
  if (phase !== 'Healthy') return { state: 'moving', detail: message || phase.toLowerCase() };
  if (!currentPodHash || currentPodHash !== stableRS)
    return { state: 'moving', detail: 'its new pods are not the stable ones yet' };
  const wanted: number = rollout.spec?.replicas ?? 1;
  if ((status.updatedReplicas ?? 0) < wanted || (status.availableReplicas ?? 0) < wanted)
    return { state: 'moving', detail: `${status.availableReplicas ?? 0} of ${wanted} pods are available` };
  return { state: 'done' };
}

/** What a hash was observed with isn't comparable; such a controller says so in its phase. */
function observed({ metadata }: ClusterObject, { observedGeneration = '' }: Status): boolean {
  if (!/^\d+$/.test(observedGeneration)) return observedGeneration !== '';
  return Number(observedGeneration) >= (metadata?.generation ?? 0);
}

function paused(rollout: ClusterObject, status: Status): Paused {
  const [reason] = (status.pauseConditions ?? []).map((condition) => condition.reason ?? '');
  const at = (detail: string, endsByItself: boolean, ofStrategy: boolean): Paused => ({
    state: 'paused',
    detail,
    endsByItself,
    ofStrategy,
  });
  if (rollout.spec?.paused === true) return at('it was paused by hand (spec.paused)', false, false);
  const { canary, blueGreen } = rollout.spec?.strategy ?? {};
  if (reason === 'CanaryPauseStep') {
    const index = status.currentStepIndex ?? 0;
    const duration: unknown = canary?.steps?.[index]?.pause?.duration;
    const step = `it pauses at step ${index + 1} of ${canary?.steps?.length ?? '?'}`;
    const endless = duration === undefined || duration === null;
    return at(endless ? step : `${step} for ${duration}`, !endless, true);
  }
  if (reason === 'BlueGreenPause') {
    const seconds: unknown = blueGreen?.autoPromotionSeconds;
    const ends = typeof seconds === 'number' && seconds > 0;
    return at('its preview is ready and waits for promotion', ends, true);
  }
  return at(`it is paused (${reason || status.message || 'no reason given'})`, false, false);
}

/** What makes a Rollout unable to move, before anything is changed; undefined when it may. */
export function argoObstacle(rollout: ClusterObject): string | undefined {
  const { spec = {} } = rollout;
  if (spec.workloadRef)
    return `it takes its template from ${spec.workloadRef.kind} ${spec.workloadRef.name} (workloadRef), which Rotor doesn't change`;
  if (spec.paused === true) return 'it is paused by hand (spec.paused)';
  const progress = argoProgress(rollout);
  return progress.state === 'done' ? undefined : progress.detail;
}

/** How a person ends a pause. */
export function promoteCommand(context: string, { namespace, name }: ObjectRef): string {
  return `kubectl argo rollouts --context ${context} -n ${namespace} promote ${name}`;
}

import type { Condition, RolloutSpec, RolloutStatus } from './wire.ts';

/** A ReplicaSet of the Rollout, by the hash of its template. */
export interface SetFacts {
  readonly hash: string;
  readonly replicas: number;
  readonly existing: number;
  readonly available: number;
}

export interface Facts {
  readonly spec: RolloutSpec;
  readonly status: RolloutStatus;
  /** Hash of the present template. */
  readonly hash: string;
  readonly generation: number;
  readonly sets: readonly SetFacts[];
  readonly nowMs: number;
}

export interface Decision {
  /** What each ReplicaSet is to have, by hash. */
  readonly scale: Readonly<Record<string, number>>;
  /** Hashes for the selectors of the Services. */
  readonly active?: string | undefined;
  readonly preview?: string | undefined;
  readonly status: RolloutStatus;
}

/**
 * What a Rollouts controller would do next, in miniature: canary without traffic routing (setWeight, pause), blue/green
 * (promotion by hand, by itself, after a time), abort, full promotion, a deadline for progress. No analyses, no experiments,
 * no anti-affinity. Written after the documentation (argoproj.github.io/argo-rollouts) and checked against the phases of
 * utils/rollout/rolloututil.go.
 */
export function decide(facts: Facts): Decision {
  const { spec, hash } = facts;
  const status = fresh(facts);
  if (spec.paused) return finish(facts, status, {});
  const stable = status.stableRS;
  // The first version of all has nothing to be compared with: no steps, no pauses.
  if (!stable || stable === hash) return atStable(facts, status);
  if (status.abort) return aborted(facts, status);
  return spec.strategy.blueGreen ? blueGreen(facts, status) : canary(facts, status);
}

/** A new template begins anew: what was paused, aborted or promoted was another. Going back to the stable one skips all steps. */
function fresh({ spec, status, hash }: Facts): RolloutStatus {
  if (status.currentPodHash === hash) return structuredClone(status);
  const { pauseConditions: _, ...kept } = structuredClone(status);
  const steps = spec.strategy.canary?.steps?.length;
  return {
    ...kept,
    currentPodHash: hash,
    pauseConditions: null,
    controllerPause: false,
    abort: false,
    abortedAt: null,
    promoteFull: false,
    currentStepIndex: steps === undefined ? null : status.stableRS === hash || !status.stableRS ? steps : 0,
    conditions: [],
  };
}

function atStable(facts: Facts, status: RolloutStatus): Decision {
  const { spec, hash, sets } = facts;
  const wanted = spec.replicas ?? 1;
  const scale = { ...all(sets, 0), [hash]: wanted };
  if (availableOf(sets, hash) < wanted) return finish(facts, status, { ...all(sets), [hash]: wanted });
  return finish(facts, { ...status, stableRS: hash, promoteFull: false }, scale, hash, hash);
}

function aborted(facts: Facts, status: RolloutStatus): Decision {
  const { spec, sets, hash } = facts;
  const stable = status.stableRS ?? '';
  const wanted = spec.replicas ?? 1;
  const back = { ...all(sets), [stable]: wanted };
  const scale = availableOf(sets, stable) < wanted ? back : { ...back, [hash]: 0 };
  const now = iso(facts.nowMs);
  return finish(
    facts,
    { ...status, abortedAt: status.abortedAt ?? now, pauseConditions: null, controllerPause: false },
    scale,
    stable,
    stable,
  );
}

function canary(facts: Facts, status: RolloutStatus): Decision {
  const { spec, sets, hash, nowMs } = facts;
  const steps = spec.strategy.canary?.steps ?? [];
  const wanted = spec.replicas ?? 1;
  const stable = status.stableRS ?? '';
  let index = status.promoteFull ? steps.length : (status.currentStepIndex ?? 0);
  const next: RolloutStatus = { ...status, currentStepIndex: index };
  if (next.promoteFull) Object.assign(next, { pauseConditions: null, controllerPause: false });
  const step = steps[index];
  if (step?.pause) {
    const [pause] = next.pauseConditions ?? [];
    const seconds = secondsOf(step.pause.duration);
    const over = pause && seconds !== undefined && nowMs - Date.parse(pause.startTime) >= seconds * 1000;
    // The list emptied by somebody else while we hold the pause: it was promoted.
    if (over || (next.controllerPause && !pause)) {
      index += 1;
      Object.assign(next, { pauseConditions: null, controllerPause: false, currentStepIndex: index });
    } else if (!pause) {
      next.pauseConditions = [{ reason: 'CanaryPauseStep', startTime: iso(nowMs) }];
      next.controllerPause = true;
    }
  }
  const weights = steps.slice(0, index + 1).flatMap(({ setWeight }) => setWeight ?? []);
  const weight = index >= steps.length ? 100 : (weights.at(-1) ?? 0);
  const canaries = Math.ceil((wanted * weight) / 100);
  // New ones first: what is available is never fewer than wanted.
  const enough = availableOf(sets, hash) >= canaries;
  const others = { ...all(sets, 0), [stable]: wanted - canaries };
  const scale = enough ? { ...others, [hash]: canaries } : { ...all(sets), [hash]: canaries };
  const there = enough && sets.every((set) => set.existing === (scale[set.hash] ?? 0));
  if (steps[index]?.setWeight !== undefined && there) next.currentStepIndex = index + 1;
  if (index >= steps.length && there) Object.assign(next, { stableRS: hash, promoteFull: false });
  return finish(facts, next, scale);
}

function blueGreen(facts: Facts, status: RolloutStatus): Decision {
  const { spec, sets, hash, nowMs } = facts;
  const { autoPromotionEnabled = true, autoPromotionSeconds } = spec.strategy.blueGreen ?? {};
  const wanted = spec.replicas ?? 1;
  const stable = status.stableRS ?? '';
  const scale = { ...all(sets), [stable]: wanted, [hash]: wanted };
  if (availableOf(sets, hash) < wanted) return finish(facts, status, scale, stable, hash);
  const [pause] = status.pauseConditions ?? [];
  const waited = pause ? nowMs - Date.parse(pause.startTime) : 0;
  const promoted =
    autoPromotionEnabled ||
    status.promoteFull ||
    (status.controllerPause && !pause) ||
    (autoPromotionSeconds !== undefined && pause !== undefined && waited >= autoPromotionSeconds * 1000);
  if (!promoted) {
    const pauseConditions = pause ? [pause] : [{ reason: 'BlueGreenPause', startTime: iso(nowMs) }];
    return finish(facts, { ...status, pauseConditions, controllerPause: true }, scale, stable, hash);
  }
  const done = { pauseConditions: null, controllerPause: false, promoteFull: false, stableRS: hash };
  return finish(facts, { ...status, ...done }, scale, hash, hash);
}

function finish(
  facts: Facts,
  status: RolloutStatus,
  scale: Readonly<Record<string, number>>,
  active?: string,
  preview?: string,
): Decision {
  const { sets, hash, generation, spec } = facts;
  const selectors = spec.strategy.blueGreen
    ? {
        blueGreen: {
          activeSelector: active ?? status.blueGreen?.activeSelector ?? '',
          previewSelector: preview ?? '',
        },
      }
    : {};
  const counted: RolloutStatus = {
    ...status,
    ...selectors,
    observedGeneration: String(generation),
    replicas: sum(sets, ({ existing }) => existing),
    updatedReplicas: sets.find((set) => set.hash === hash)?.existing ?? 0,
    readyReplicas: sum(sets, ({ available }) => available),
    availableReplicas: sum(sets, ({ available }) => available),
  };
  const conditions = [progressing(facts, counted)];
  const [phase, message] = phaseOf(spec, { ...counted, conditions });
  return { scale, active, preview, status: { ...counted, conditions, phase, message } };
}

/** The condition by which progress is measured: its update time moves when something moved. */
function progressing({ spec, status: before, nowMs }: Facts, after: RolloutStatus): Condition {
  const known = before.conditions?.find(({ type }) => type === 'Progressing');
  const now = iso(nowMs);
  const say = (status: string, reason: string, message: string): Condition =>
    known?.reason === reason
      ? known
      : { type: 'Progressing', status, reason, message, lastUpdateTime: now, lastTransitionTime: now };
  if (after.abort) return say('False', 'RolloutAborted', 'Rollout aborted');
  const wanted = spec.replicas ?? 1;
  const complete =
    after.stableRS === after.currentPodHash &&
    after.availableReplicas === after.replicas &&
    after.replicas === wanted;
  if (complete)
    return say('True', 'NewReplicaSetAvailable', 'the new ReplicaSet has successfully progressed');
  const paused = (after.pauseConditions ?? []).length > 0 || spec.paused;
  const moved =
    !known ||
    before.currentPodHash !== after.currentPodHash ||
    before.updatedReplicas !== after.updatedReplicas ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0);
  if (moved || paused || known.reason === 'NewReplicaSetAvailable' || known.reason === 'RolloutAborted')
    return { ...say('True', 'ReplicaSetUpdated', 'the ReplicaSet is progressing'), lastUpdateTime: now };
  if (known.reason === 'ProgressDeadlineExceeded') return known;
  const deadlineMs = (spec.progressDeadlineSeconds ?? 600) * 1000;
  if (nowMs - Date.parse(known.lastUpdateTime) < deadlineMs) return known;
  return say('False', 'ProgressDeadlineExceeded', 'the ReplicaSet has timed out progressing');
}

/** As the real controller calculates it, in its order. */
export function phaseOf(
  spec: RolloutSpec,
  status: RolloutStatus,
): [NonNullable<RolloutStatus['phase']>, string] {
  for (const { reason, message } of status.conditions ?? [])
    if (reason === 'RolloutAborted' || reason === 'ProgressDeadlineExceeded')
      return ['Degraded', `${reason}: ${message}`];
  if (spec.paused) return ['Paused', 'manually paused'];
  const [pause] = status.pauseConditions ?? [];
  if (pause) return ['Paused', pause.reason];
  const updated = status.updatedReplicas ?? 0;
  if (updated < (spec.replicas ?? 1)) return ['Progressing', 'more replicas need to be updated'];
  if ((status.availableReplicas ?? 0) < updated)
    return ['Progressing', 'updated replicas are still becoming available'];
  const promoted = status.stableRS === status.currentPodHash;
  if (spec.strategy.blueGreen) {
    if (status.blueGreen?.activeSelector !== status.currentPodHash)
      return ['Progressing', 'active service cutover pending'];
    if (!promoted) return ['Progressing', 'waiting for post-promotion verification to complete'];
  } else {
    if ((status.replicas ?? 0) > updated) return ['Progressing', 'old replicas are pending termination'];
    if (!promoted) return ['Progressing', 'waiting for all steps to complete'];
  }
  return ['Healthy', ''];
}

function all(sets: readonly SetFacts[], replicas?: number): Record<string, number> {
  return Object.fromEntries(sets.map((set) => [set.hash, replicas ?? set.replicas]));
}

function availableOf(sets: readonly SetFacts[], hash: string): number {
  return sets.find((set) => set.hash === hash)?.available ?? 0;
}

function sum(sets: readonly SetFacts[], of: (set: SetFacts) => number): number {
  return sets.reduce((total, set) => total + of(set), 0);
}

function secondsOf(duration: number | string | undefined): number | undefined {
  if (typeof duration !== 'string') return duration;
  const [, amount, unit = 's'] = /^(\d+)([smh]?)$/.exec(duration) ?? [];
  return Number(amount) * ({ s: 1, m: 60, h: 3600 }[unit] ?? 1);
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

import type { Pod, PodStatus } from '../controllers/client/wire.ts';
import { canonical } from '../controllers/names.ts';
import type { ContainerFacts, ContainerStatus } from './container-state.ts';

export interface PodFacts {
  readonly pod: Pod;
  readonly init: readonly ContainerFacts[];
  readonly containers: readonly ContainerFacts[];
  readonly address: string;
  /** When the node took the pod on. */
  readonly startTime: string;
  /** Present time, whole seconds. */
  readonly now: string;
  readonly terminating: boolean;
  /** Conditions last written, for their transition times. */
  readonly before: PodStatus;
}

type Condition = NonNullable<PodStatus['conditions']>[number];

const OURS = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];

/** A pod's status from what its containers do. */
export function podStatus(facts: PodFacts): PodStatus {
  const { pod, init, containers, address, startTime, before } = facts;
  const phase = phaseOf(facts);
  const conditions = decideConditions(facts, phase);
  const gates = before.conditions?.filter(({ type }) => !OURS.includes(type)) ?? [];
  return {
    phase,
    conditions: [...conditions, ...gates],
    hostIP: address,
    hostIPs: [{ ip: address }],
    podIP: address,
    podIPs: [{ ip: address }],
    startTime,
    qosClass: before.qosClass ?? 'BestEffort',
    ...(pod.spec.initContainers?.length ? { initContainerStatuses: init.map(containerStatus) } : {}),
    containerStatuses: containers.map(containerStatus),
  };
}

function containerStatus(facts: ContainerFacts): ContainerStatus {
  const { name, image, state, lastState, restartCount, ready, started, containerID, imageID } = facts;
  return {
    name,
    image,
    imageID,
    state,
    lastState,
    restartCount,
    ready,
    started,
    ...(containerID ? { containerID } : {}),
  };
}

/** The phase: where in its life a pod is. */
export function phaseOf({ pod, init, containers, terminating }: PodFacts): NonNullable<PodStatus['phase']> {
  const policy = pod.spec.restartPolicy ?? 'Always';
  const failed = (facts: ContainerFacts) => (facts.state.terminated?.exitCode ?? 0) !== 0;
  if (init.some((facts) => failed(facts) && policy === 'Never')) return 'Failed';
  const ended = containers.every(({ state }) => state.terminated);
  const final = ended && (policy !== 'Always' || terminating);
  if (final && policy === 'OnFailure' && !terminating && containers.some(failed)) return 'Running';
  if (final) return containers.some(failed) ? 'Failed' : 'Succeeded';
  const begun = containers.every(({ state, lastState }) => !state.waiting || lastState.terminated);
  return begun ? 'Running' : 'Pending';
}

function decideConditions(facts: PodFacts, phase: string): Condition[] {
  const { init, containers, pod, now } = facts;
  const initialized = phase === 'Succeeded' || init.every(({ ready }) => ready);
  const unready = containers.filter(({ ready }) => !ready).map(({ name }) => name);
  const allReady = unready.length === 0 && phase === 'Running';
  const gates = (pod.spec.readinessGates ?? []).map(({ conditionType }) => conditionType);
  const shut = gates.filter(
    (type) => !facts.before.conditions?.some((known) => known.type === type && known.status === 'True'),
  );
  const cause: Cause | undefined = allReady ? undefined : causeOf(phase, unready);
  const uninitialized = init.filter(({ ready }) => !ready).map(({ name }) => name);
  const gate: Cause | undefined =
    shut.length > 0
      ? { reason: 'ReadinessGatesNotReady', message: `conditions [${shut.join(' ')}] aren't true` }
      : undefined;
  const said: readonly (readonly [string, Cause | undefined])[] = [
    [
      'Initialized',
      initialized
        ? undefined
        : {
            reason: 'ContainersNotInitialized',
            message: `containers with incomplete status: [${uninitialized.join(' ')}]`,
          },
    ],
    ['Ready', cause ?? gate],
    ['ContainersReady', cause],
    ['PodScheduled', undefined],
  ];
  return said.map(([type, why]) => transition(facts.before, type, why, now));
}

interface Cause {
  readonly reason: string;
  readonly message?: string;
}

function causeOf(phase: string, unready: readonly string[]): Cause {
  if (phase === 'Succeeded') return { reason: 'PodCompleted' };
  if (phase === 'Failed') return { reason: 'PodFailed' };
  return { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
}

function transition(before: PodStatus, type: string, why: Cause | undefined, now: string): Condition {
  const status = why ? 'False' : 'True';
  const known = before.conditions?.find((condition) => condition.type === type);
  const since = known?.status === status ? known.lastTransitionTime : undefined;
  return { type, status, ...why, lastTransitionTime: since ?? now };
}

/** Takes over conditions that others wrote, for readiness gates. */
export function withForeignConditions(own: PodStatus, written: PodStatus | undefined): PodStatus {
  const ours = own.conditions?.filter(({ type }) => OURS.includes(type)) ?? [];
  const foreign = written?.conditions?.filter(({ type }) => !OURS.includes(type)) ?? [];
  return { ...own, conditions: [...ours, ...foreign] };
}

/** Whether writing a status would change anything. */
export function sameStatus(a: PodStatus | undefined, b: PodStatus): boolean {
  return canonical(a ?? {}) === canonical(b);
}

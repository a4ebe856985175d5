import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { jsonIn } from '../../../core/json.ts';
import { type Cluster, type ClusterObject, nameOf, refOf } from '../../../core/kubernetes/cluster.ts';
import type { Deadline } from '../../../core/retry.ts';
import { podUrl } from '../../kubernetes/pod-address.ts';
import { selectorOf } from '../../kubernetes/workloads.ts';
import { runCommand } from '../reload/command.ts';
import { httpProblem } from '../reload/health.ts';
import {
  afterLook,
  decideGate,
  type GateState,
  milliseconds,
  nameOfGate,
  UNASKED,
} from './gates-decision.ts';
import { prometheusProblem } from './gates-prometheus.ts';
import type { Gate } from './gates-spec.ts';

/** Annotation of a twin: what is known of its gates. */
export const GATES = 'rotor.dev/gates';

export interface Twin {
  readonly consumer: string;
  readonly versionId: string;
  readonly workload: ClusterObject;
}

/**
 * Asks the gates of a twin that is ready, in order. What each look saw is written at the twin, so that it counts for
 * every worker, and a gate that was passed isn't asked again.
 * @returns words while one is still asked; undefined when all are passed
 * @throws RotorError `rollout.unhealthy` when one is closed for good
 */
export async function askGates(
  call: Call,
  cluster: Cluster,
  gates: readonly Gate[],
  twin: Twin,
): Promise<string | undefined> {
  const ref = refOf(twin.workload);
  const states = readStates(twin.workload);
  for (const [index, gate] of gates.entries()) {
    let state = states[index] ?? UNASKED;
    let decision = decideGate(gate, state, call.clock.now().getTime());
    if (decision.do === 'look') {
      const look = call.deadline.within(milliseconds(gate.timeout), call.clock);
      const problem = await problemAt(look, call, cluster, gate, twin);
      // Our own turn has ended, not the gate's time: nothing was seen.
      call.deadline.assertTime(`ask gate ${nameOfGate(gate)}`);
      const nowMs = call.clock.now().getTime();
      state = afterLook(gate, state, problem, nowMs);
      states[index] = state;
      await cluster.mergePatch(call, ref, {
        metadata: { annotations: { [GATES]: JSON.stringify(states) } },
      });
      decision = decideGate(gate, state, nowMs);
    }
    if (decision.do === 'close')
      throw new RotorError('rollout.unhealthy', {
        what: `consumer ${twin.consumer}: gate ${nameOfGate(gate)} is closed to ${nameOf(ref)} in cluster ${cluster.name}: ${decision.words}`,
        hint: 'Its clients have never met it. Look at what the gate saw, or correct the gate in the policy.',
      });
    if (decision.do === 'wait') return `gate ${nameOfGate(gate)}: ${decision.words}`;
  }
  return undefined;
}

function readStates({ metadata }: ClusterObject): GateState[] {
  const states = jsonIn(metadata?.annotations?.[GATES] ?? '');
  return Array.isArray(states) ? states.map((state) => state ?? UNASKED) : [];
}

async function problemAt(
  look: Deadline,
  call: Call,
  cluster: Cluster,
  gate: Gate,
  { consumer, versionId, workload }: Twin,
): Promise<string | undefined> {
  if ('command' in gate) return runCommand(look, gate.command.run, { consumer, versionId });
  if ('prometheus' in gate) return prometheusProblem(look, gate.prometheus);
  if ('url' in gate.http) return httpProblem(look, gate.http, versionId);
  const { expectStatus, versionPointer, ...port } = gate.http;
  const namespace = workload.metadata?.namespace ?? '';
  const pods = await cluster.list(call, { apiVersion: 'v1', kind: 'Pod', namespace }, selectorOf(workload));
  const running = pods.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
  if (running.length === 0) return 'it has no pods';
  for (const pod of running) {
    const url = podUrl(pod, port);
    const problem = url
      ? await httpProblem(look, { url, expectStatus, versionPointer }, versionId)
      : `it has no address with port ${port.port}`;
    if (problem !== undefined) return `pod ${pod.metadata?.name}: ${problem}`;
  }
  return undefined;
}

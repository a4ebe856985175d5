import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { podUrl } from '../../kubernetes/pod-address.ts';
import { httpProblem } from '../reload/health.ts';
import type { PodReloadSpec } from './spec.ts';

/** One request to a pod is given up after that long. */
const REQUEST_MS = 5_000;

/** @returns why the pod doesn't name the version, in words; undefined when it does */
export async function versionProblemOf(
  call: Call,
  pod: ClusterObject,
  { version }: PodReloadSpec,
  versionId: string,
): Promise<string | undefined> {
  // The volume driver has told already what the files are.
  if (!version) return undefined;
  const { pointer: versionPointer, ...port } = version.http;
  const url = podUrl(pod, port);
  if (!url) return `it has no address with port ${port.port}`;
  const look = call.deadline.within(REQUEST_MS, call.clock);
  return httpProblem(look, { url, expectStatus: 200, versionPointer }, versionId);
}

/**
 * Tells one pod to read its files again. Twice does no harm, so every failure may be repeated.
 * @throws RotorError `rollout.reload-failed`
 */
export async function reloadPod(
  call: Call,
  consumer: string,
  pod: ClusterObject,
  { reload }: PodReloadSpec,
): Promise<void> {
  const name = `consumer ${consumer}: pod ${pod.metadata?.name}`;
  const { method, ...port } = reload.http;
  const url = podUrl(pod, port);
  if (!url)
    throw new RotorError('rollout.reload-failed', { what: `${name} has no address with port ${port.port}` });
  const failed = (why: string, cause?: unknown) =>
    new RotorError('rollout.reload-failed', {
      what: `${name}: ${why}`,
      ...(cause === undefined ? {} : { cause }),
    });
  call.deadline.assertTime(`reload ${name}`);
  let status: number;
  try {
    status = (await httpRequest(call.deadline.within(REQUEST_MS, call.clock), { url, method })).status;
  } catch (error) {
    if (error instanceof RotorError) throw failed(error.message, error);
    throw error;
  }
  if (status >= 300) throw failed(`the reload was answered with status ${status}`);
}

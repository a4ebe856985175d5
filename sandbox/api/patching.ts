import { applyPatch, type Operation } from 'rfc6902';
import { applyConfiguration, checkApplyRequest } from './apply.ts';
import { toStored, toVersion } from './convert.ts';
import type { WriteOptions } from './create.ts';
import { isObject, type Json, type JsonObject, type KubeObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import { addressed } from './metadata.ts';
import { type ApiRequest, isTrue, type Target } from './request.ts';
import type { Sent } from './resource-requests.ts';
import { scaleOf, withScale } from './scale.ts';
import { ApiError, badRequest, notFound } from './status.ts';
import { strategicMerge } from './strategic-merge.ts';
import { dropUnknown } from './unknown-fields.ts';
import { updateObject } from './update.ts';
import type { World } from './world.ts';

const TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

/** Applies a patch of any kind. @throws ApiError */
export function patchObject(
  world: World,
  target: Target,
  request: ApiRequest,
  sent: Sent,
  options: WriteOptions,
): { object: KubeObject; created: boolean } {
  const { type, namespace, name } = target;
  const before = world.store.get(type.storage, namespace, name);
  if (sent.mediaType === 'application/apply-patch+yaml') {
    const configuration = sent.object();
    checkApplyRequest(request.query, configuration);
    const stored = toStored(type, addressed(type, namespace, name, configuration));
    dropUnknown(type, structuredClone(stored), options.strict === true, 'apply');
    return applyConfiguration(world, target, before, stored, isTrue(request.query.get('force')), options);
  }
  if (!before) throw notFound(type, name);
  if (options.subresource === 'scale') {
    const scale = patched(structuredClone(scaleOf(type, before)) as KubeObject, sent);
    const scaled = withScale(type, toVersion(type, before), scale);
    return { object: updateObject(world, type, namespace, name, scaled, options), created: false };
  }
  const current = structuredClone(toVersion(type, before));
  const next = patched(current, sent);
  const object = updateObject(world, type, namespace, name, next, { ...options, via: 'patch' });
  return { object, created: false };
}

function patched(current: KubeObject, sent: Sent): JsonObject {
  if (sent.mediaType === 'application/json-patch+json') return jsonPatch(current, sent.body);
  const patch = sent.object();
  if (sent.mediaType === 'application/merge-patch+json') return mergePatch(current, patch) as JsonObject;
  return strategicMerge(current, patch);
}

/** Refuses a patch of a form that the resource doesn't take. @throws ApiError 415 */
export function checkPatchType(target: Target, mediaType: string): void {
  // Objects of CRDs have no types that would name merge keys.
  const allowed = target.type.custom ? TYPES.filter((name) => !name.includes('strategic')) : TYPES;
  if (allowed.includes(mediaType)) return;
  if (!TYPES.includes(mediaType))
    throw new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
  const message = `the body of the request was in an unknown format - accepted media types include: ${allowed.join(', ')}`;
  throw new ApiError(415, 'UnsupportedMediaType', message);
}

function jsonPatch(current: KubeObject, body: Json | undefined): JsonObject {
  if (!Array.isArray(body)) throw badRequest('a JSON patch has to be a list of operations');
  const operations = body.filter(isObject);
  const failed = applyPatch(current, operations as unknown as Operation[]).find(
    (problem) => problem !== null,
  );
  if (failed) {
    // The words of the Go library differ by operation; clients look at the code and reason only.
    throw new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
  }
  return current;
}

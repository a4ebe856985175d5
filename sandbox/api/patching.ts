import { applyPatch, type Operation } from 'rfc6902';
import { toVersion } from './convert.ts';
import type { WriteOptions } from './create.ts';
import { isObject, type Json, type JsonObject, type KubeObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import type { ApiRequest, Target } from './request.ts';
import type { Sent } from './resource-requests.ts';
import { ApiError, badRequest, notFound } from './status.ts';
import { strategicMerge } from './strategic-merge.ts';
import { updateObject } from './update.ts';
import type { World } from './world.ts';

const TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  'application/apply-patch+cbor',
];

/** Applies a patch of any kind. @throws ApiError */
export function patchObject(
  world: World,
  target: Target,
  _request: ApiRequest,
  sent: Sent,
  options: WriteOptions,
): { object: KubeObject; created: boolean } {
  const { type, namespace, name } = target;
  const before = world.store.get(type.storage, namespace, name);
  if (!before) throw notFound(type, name);
  const current = structuredClone(toVersion(type, before));
  const next = patched(target, current, sent);
  return { object: updateObject(world, type, namespace, name, next, options), created: false };
}

function patched(target: Target, current: KubeObject, sent: Sent): JsonObject {
  const { type } = target;
  switch (sent.mediaType) {
    case 'application/json-patch+json':
      return jsonPatch(current, sent.body);
    case 'application/merge-patch+json':
      return mergePatch(current, sent.object()) as JsonObject;
    case 'application/strategic-merge-patch+json':
      if (type.custom) throw unsupportedPatch(TYPES.filter((name) => !name.includes('strategic')));
      return strategicMerge(current, sent.object());
    default:
      throw unsupportedPatch(type.custom ? TYPES.filter((name) => !name.includes('strategic')) : TYPES);
  }
}

function unsupportedPatch(allowed: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${allowed.join(', ')}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
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

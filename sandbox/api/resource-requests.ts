import type { ServerResponse } from 'node:http';
import { bindPod } from './binding.ts';
import { toVersion } from './convert.ts';
import { createObject, type WriteOptions } from './create.ts';
import { evict } from './eviction.ts';
import type { Json, JsonObject, KubeObject } from './json.ts';
import { listPage, selection } from './listing.ts';
import { patchObject } from './patching.ts';
import { deletedStatus, readDeleteOptions, removeObject } from './remove.ts';
import { acceptedForm, type RenderRequest, renderList, renderObject } from './render.ts';
import { type ApiRequest, isTrue, type Target } from './request.ts';
import { review } from './reviews.ts';
import { scaleOf, withScale } from './scale.ts';
import { invalid, methodNotAllowed, notFound, unsupported } from './status.ts';
import { updateObject } from './update.ts';
import type { User } from './users.ts';
import { startWatch, type WatchSettings } from './watching.ts';
import type { World } from './world.ts';

export interface Answer {
  readonly code: number;
  readonly body: JsonObject;
}

/** What came with a request beside its address. */
export interface Sent {
  readonly user: User;
  readonly body: Json | undefined;
  readonly mediaType: string;
  readonly object: () => JsonObject;
  readonly response: ServerResponse;
}

interface Serving {
  readonly world: World;
  readonly watches: WatchSettings;
}

/** Answers a request for a resource; undefined when the answer is a stream that has begun. @throws ApiError */
export function answerResource(serving: Serving, request: ApiRequest, sent: Sent): Answer | undefined {
  const { world } = serving;
  const { target, verb, query } = request;
  if (!target) throw methodNotAllowed();
  if (target.type.review && verb !== 'create') throw methodNotAllowed();
  const { type, namespace, name, subresource } = target;
  if (type.namespaced && namespace === '' && !['list', 'watch', 'deletecollection'].includes(verb)) {
    throw methodNotAllowed();
  }
  const asked: RenderRequest = {
    world,
    type,
    form: acceptedForm(request.headers.accept),
    include: query.get('includeObject') ?? 'Metadata',
  };
  const shown = (code: number, object: KubeObject): Answer => ({
    code,
    body: subresource === 'scale' ? scaleOf(type, object) : renderObject(asked, object),
  });
  // A watch of one object may be asked for by its own path.
  if (verb === 'get' && isTrue(query.get('watch'))) return watch(serving, request, target, sent, asked);
  const found = () => {
    const object = world.store.get(type.storage, namespace, name);
    if (!object) throw notFound(type, name);
    return object;
  };
  if (['update', 'patch'].includes(verb) && name === '') throw methodNotAllowed();
  switch (verb) {
    case 'get':
      return shown(200, found());
    case 'list':
      return { code: 200, body: renderList(asked, listPage(world, target, request)) };
    case 'watch':
      return watch(serving, request, target, sent, asked);
    case 'create':
      return create(world, target, request, sent, shown);
    case 'update': {
      const body =
        subresource === 'scale' ? withScale(type, toVersion(type, found()), sent.object()) : sent.object();
      const options = writeOptions(request, subresource);
      return shown(200, updateObject(world, type, namespace, name, body, options));
    }
    case 'patch': {
      const options = writeOptions(request, subresource);
      const { object, created } = patchObject(world, target, request, sent, options);
      return shown(created ? 201 : 200, object);
    }
    case 'delete': {
      const options = readDeleteOptions(sent.body, query);
      const { object, gone } = removeObject(world, type, namespace, name, options);
      const told = !gone || RETURNED.has(type.kind);
      return told ? shown(200, object) : { code: 200, body: deletedStatus(type, object) };
    }
    case 'deletecollection':
      return removeAll(world, request, target, sent, asked);
    default:
      throw methodNotAllowed();
  }
}

/** Kinds whose deletion answers with the object that is gone. */
const RETURNED = new Set(['Pod', 'Service', 'ServiceAccount']);

function create(
  world: World,
  target: Target,
  request: ApiRequest,
  sent: Sent,
  shown: (code: number, object: KubeObject) => Answer,
): Answer {
  const { type, namespace, name, subresource } = target;
  if (type.review) return { code: 201, body: review(world, type, sent) };
  if (subresource === 'eviction') return { code: 201, body: evict(world, target, sent.object()) };
  if (subresource === 'binding') return { code: 201, body: bindPod(world, target, sent.object()) };
  if (name !== '') throw methodNotAllowed();
  const options = writeOptions(request, subresource);
  return shown(201, createObject(world, type, namespace, sent.object(), options));
}

function watch(
  serving: Serving,
  request: ApiRequest,
  target: Target,
  sent: Sent,
  asked: RenderRequest,
): undefined {
  const render = (object: KubeObject, first: boolean) => renderObject(asked, object, first);
  startWatch(serving.world, target, request, sent.response, render, serving.watches);
}

function removeAll(
  world: World,
  request: ApiRequest,
  target: Target,
  sent: Sent,
  asked: RenderRequest,
): Answer {
  const { type, namespace } = target;
  if (type.namespaced && namespace === '') throw methodNotAllowed();
  const selects = selection(request.query, type);
  const options = readDeleteOptions(sent.body, request.query);
  const items = world.store
    .list(type.storage, namespace)
    .filter(selects)
    .map((object) => removeObject(world, type, namespace, object.metadata.name, options).object);
  const metadata = { resourceVersion: String(world.store.version) };
  return { code: 200, body: renderList(asked, { items, metadata }) };
}

/** @throws ApiError 422 for a `dryRun` that isn't `All` */
function writeOptions(request: ApiRequest, subresource: string): WriteOptions {
  const dryRun = request.query.get('dryRun');
  if (dryRun !== null && dryRun !== '' && dryRun !== 'All') {
    const kind =
      { create: 'CreateOptions', update: 'UpdateOptions', patch: 'PatchOptions' }[request.verb] ?? '';
    throw invalid({ group: 'meta.k8s.io', kind }, '', [unsupported('dryRun', [dryRun], ['All'])]);
  }
  const agent = request.headers['user-agent'] ?? '';
  const manager = request.query.get('fieldManager') ?? (agent.split('/')[0] || 'unknown');
  const strict = request.query.get('fieldValidation') === 'Strict';
  return { manager, dryRun: dryRun === 'All', subresource, strict };
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { mediaType, objectBody, readBody } from './body.ts';
import { coreVersions, groupList, oneGroup, resourceList, versionInfo } from './discovery.ts';
import { type Faults, faultRequest, play } from './faults.ts';
import { impersonated } from './impersonation.ts';
import type { JsonObject } from './json.ts';
import { openapiDocument, openapiIndex, openapiV2 } from './openapi.ts';
import { checkPatchType } from './patching.ts';
import { type LogFile, sendLog } from './pod-logs.ts';
import { attributesOf, authorize } from './rbac.ts';
import { type ApiRequest, readRequest } from './request.ts';
import { type Answer, answerResource } from './resource-requests.ts';
import { ApiError, unauthorized } from './status.ts';
import type { WatchSettings } from './watching.ts';
import type { World } from './world.ts';

export interface Serving {
  readonly world: World;
  readonly faults: Faults;
  readonly watches: WatchSettings;
  readonly url: string;
  readonly logFile: LogFile | undefined;
}

/** Answers one request; refusals become Status objects, bugs a 500. */
export async function handle(
  serving: Serving,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const answer = await answered(serving, message, response);
    if (answer) send(response, answer.code, answer.body);
  } catch (error) {
    const refusal =
      error instanceof ApiError
        ? error
        : new ApiError(500, 'InternalError', `Internal error: ${String(error)}`);
    if (response.headersSent) response.destroy();
    else send(response, refusal.code, refusal.toStatus(), refusal.details?.retryAfterSeconds);
  }
}

async function answered(
  serving: Serving,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<Answer | undefined> {
  const { world, faults } = serving;
  const path = (message.url ?? '/').split('?')[0] ?? '/';
  if (/^\/(healthz|readyz|livez)(\/|$)/.test(path)) {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
    return undefined;
  }
  const sender = world.users.authenticate(message.headers.authorization);
  if (!sender) throw unauthorized();
  const user = impersonated(world, sender, message.headers);
  const request = readRequest(message, world.registry);
  const seen = faultRequest(request, user.name);
  if (play(faults.before(seen), response)) return undefined;
  authorize(world, attributesOf(request, user));
  if (!request.target) {
    const found = nonResource(serving, request);
    if (found) return { code: 200, body: found };
    response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
    return undefined;
  }
  if (request.target.subresource === 'log') {
    await sendLog(world, request.target, request, response, serving.logFile);
    return undefined;
  }
  if (request.verb === 'patch') checkPatchType(request.target, mediaType(message));
  const body = ['GET', 'HEAD'].includes(request.method) ? undefined : await readBody(message);
  const answer = answerResource(serving, request, {
    user,
    body,
    mediaType: mediaType(message),
    object: () => objectBody(body),
    response,
  });
  if (answer && play(faults.after(seen), response)) return undefined;
  return answer;
}

function nonResource(serving: Serving, request: ApiRequest): JsonObject | undefined {
  const { registry } = serving.world;
  const { path } = request;
  const parts = path.split('/').filter((part) => part !== '');
  if (path === '/version' || path === '/version/') return versionInfo();
  if (path === '/')
    return { paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/readyz', '/version'] };
  let found: JsonObject | undefined;
  if (parts[0] === 'api') {
    found = parts[1] ? resourceList(registry, '', parts[1]) : coreVersions(new URL(serving.url).host);
  }
  if (parts[0] === 'apis') {
    const [, group, version] = parts;
    found = !group
      ? groupList(registry)
      : version
        ? resourceList(registry, group, version)
        : oneGroup(registry, group);
  }
  if (path === '/openapi/v2' && !(request.headers.accept ?? '').includes('protobuf')) found = openapiV2();
  if (path === '/openapi/v3') found = openapiIndex(registry);
  if (path.startsWith('/openapi/v3/')) found = openapiDocument(registry, path.slice('/openapi/v3/'.length));
  return found;
}

function send(response: ServerResponse, code: number, body: JsonObject, retryAfterSeconds?: number): void {
  response.writeHead(code, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(JSON.stringify(body));
}

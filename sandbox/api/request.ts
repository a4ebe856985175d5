import type { IncomingMessage } from 'node:http';
import type { Registry } from './registry.ts';
import type { ResourceType } from './resources.ts';
import { noSuchPath, notInSandbox } from './status.ts';

/** What a request asks for, read from its method, path and query. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. */
  readonly verb: string;
  /** Undefined for discovery, health and other paths without a resource. */
  readonly target: Target | undefined;
}

export interface Target {
  readonly type: ResourceType;
  /** Empty for cluster-scoped resources and for lists over all namespaces. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

const VERBS: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** @throws ApiError 404 for a path under `/api` or `/apis` that no resource answers */
export function readRequest(message: IncomingMessage, registry: Registry): ApiRequest {
  const url = new URL(message.url ?? '/', 'https://localhost');
  const method = message.method ?? 'GET';
  const found = targetOf(url.pathname, registry);
  const target = found === 'unknown' ? undefined : found;
  const query = url.searchParams;
  const named = target !== undefined && target.name !== '';
  let verb = VERBS[method] ?? method.toLowerCase();
  if (target && !named && verb === 'get') verb = isTrue(query.get('watch')) ? 'watch' : 'list';
  if (target && !named && verb === 'delete') verb = 'deletecollection';
  const request = { method, path: url.pathname, query, headers: message.headers, verb, target };
  if (found === 'unknown') throw noSuchPath();
  return request;
}

const NO_CONTAINER = 'its containers are processes of this machine: look at them there';
const NO_PROXY = 'its pods listen on 127.0.0.1, at the ports of their annotation sandbox.rotor.dev/ports';

/** What a real server has and people try, with what to do instead. */
const ABSENT: Readonly<Record<string, string>> = {
  'pods/exec': `no exec; ${NO_CONTAINER}`,
  'pods/attach': `no attach; ${NO_CONTAINER}`,
  'pods/ephemeralcontainers': `no ephemeral containers; ${NO_CONTAINER}`,
  'pods/portforward': `no port-forward; ${NO_PROXY}`,
  'pods/proxy': `no proxy; ${NO_PROXY}`,
  'services/proxy': `no proxy; ${NO_PROXY}`,
  'serviceaccounts/token':
    'no tokens of service accounts; act as one: kubectl --as system:serviceaccount:NAMESPACE:NAME',
};

export function isTrue(text: string | null | undefined): boolean {
  return text === 'true' || text === '1';
}

function targetOf(path: string, registry: Registry): Target | 'unknown' | undefined {
  const parts = path.split('/').filter((part) => part !== '');
  const parsed = groupAndRest(parts.map(decodeURIComponent));
  if (!parsed || parsed.rest.length === 0) return undefined;
  const { group, version, rest } = parsed;
  const [first = '', second = '', third = '', ...more] = rest;
  if (first === 'namespaces' && third !== '') {
    const type = registry.find(group, version, third);
    if (type?.namespaced) return below(type, second, more);
    if (group !== '') return 'unknown';
  }
  // Under a group version that isn't served nothing is known, not even as a resource.
  if (!registry.all().some((type) => type.group === group && type.version === version)) return undefined;
  const type = registry.find(group, version, first);
  if (!type) return 'unknown';
  return below(type, '', rest.slice(1));
}

function below(type: ResourceType, namespace: string, rest: string[]): Target | 'unknown' {
  const [name = '', subresource = '', ...more] = rest;
  if (more.length > 0) return 'unknown';
  if (subresource !== '' && !type.subresources.includes(subresource)) {
    const absent = type.group === '' ? ABSENT[`${type.plural}/${subresource}`] : undefined;
    if (absent !== undefined) throw notInSandbox(absent);
    return 'unknown';
  }
  return { type, namespace, name, subresource };
}

function groupAndRest(parts: string[]): { group: string; version: string; rest: string[] } | undefined {
  if (parts[0] === 'api' && parts[1]) return { group: '', version: parts[1], rest: parts.slice(2) };
  if (parts[0] === 'apis' && parts[1] && parts[2]) {
    return { group: parts[1], version: parts[2], rest: parts.slice(3) };
  }
  return undefined;
}

import { type JsonObject, type KubeObject, textAt } from './json.ts';
import type { ApiRequest, Target } from './request.ts';
import { fieldSelector, labelSelector, type Predicate } from './selectors.ts';
import { ApiError, badRequest, expired } from './status.ts';
import type { World } from './world.ts';

/** Both selectors of a request as one predicate. @throws ApiError 400 */
export function selection(query: URLSearchParams, type: Target['type']): Predicate {
  const byLabels = labelSelector(query.get('labelSelector') ?? '');
  const byFields = fieldSelector(query.get('fieldSelector') ?? '', type);
  return (object) => byLabels(object) && byFields(object);
}

export interface Page {
  readonly items: KubeObject[];
  readonly metadata: JsonObject;
}

interface Continue {
  readonly version: number;
  readonly after: string;
}

/**
 * One page of a list. A continued list goes on behind the last name it gave; like the real server it fails
 * with 410 when the version it began at is forgotten.
 * @throws ApiError
 */
export function listPage(world: World, target: Target, request: ApiRequest): Page {
  const { query } = request;
  checkVersion(world, query);
  const selects = selection(query, target.type);
  const limit = Number(query.get('limit') ?? 0);
  const begun = query.get('continue') ? readContinue(world, query.get('continue') ?? '') : undefined;
  const version = begun?.version ?? world.store.version;
  const wanted = world.store
    .list(target.type.storage, target.namespace)
    .filter((object) => selects(object) && (target.name === '' || object.metadata.name === target.name));
  const rest = begun ? wanted.filter((object) => keyOf(object) > begun.after) : wanted;
  const items = limit > 0 ? rest.slice(0, limit) : rest;
  const last = items.at(-1);
  const metadata: JsonObject = { resourceVersion: String(version) };
  if (last && items.length < rest.length) {
    metadata.continue = writeContinue({ version, after: keyOf(last) });
    // The real server can't count what selectors leave out, and says nothing then.
    if (!query.get('labelSelector') && !query.get('fieldSelector')) {
      metadata.remainingItemCount = rest.length - items.length;
    }
  }
  return { items, metadata };
}

function checkVersion(world: World, query: URLSearchParams): void {
  const text = query.get('resourceVersion') ?? '';
  if (text === '' || text === '0') return;
  if (!/^\d+$/.test(text)) throw badVersion(text);
  if (query.get('continue')) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  if (Number(text) > world.store.version) {
    throw tooLarge(Number(text), world.store.version);
  }
  if (query.get('resourceVersionMatch') === 'Exact' && !world.store.remembers(Number(text))) {
    throw expired(`The provided resource version is too old: ${text}`);
  }
}

/** The 504 for a version from the future. */
function tooLarge(wanted: number, current: number): ApiError {
  return new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

export function badVersion(text: string): ApiError {
  const parsing = `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  return badRequest(
    `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: ${parsing}`,
  );
}

const keyOf = (object: KubeObject) => `${object.metadata.namespace ?? ''}/${object.metadata.name}`;

function writeContinue(token: Continue): string {
  const body = { v: 'meta.k8s.io/v1', rv: token.version, start: token.after };
  return Buffer.from(JSON.stringify(body)).toString('base64url');
}

function readContinue(world: World, text: string): Continue {
  let parsed: JsonObject;
  try {
    parsed = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    throw badRequest('invalid continue token: continue key is not valid');
  }
  const version = Number(parsed.rv);
  const after = textAt(parsed, 'start') ?? '';
  if (!world.store.remembers(version)) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    );
  }
  return { version, after };
}

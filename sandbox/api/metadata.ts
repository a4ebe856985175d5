import type { Random } from '../../core/random.ts';
import { type JsonObject, type KubeObject, objectAt, textAt } from './json.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';
import { badRequest } from './status.ts';

const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** `generateName` with five random letters, as the real server's own alphabet has them. */
export function generatedName(prefix: string, random: Random): string {
  let name = prefix;
  for (let at = 0; at < 5; at += 1) name += SUFFIX_LETTERS[random.int(SUFFIX_LETTERS.length)];
  return name;
}

/**
 * A sent body as an object of the resource: kind, version, name and namespace agree with the address.
 * @throws ApiError 400
 */
export function addressed(
  type: ResourceType,
  namespace: string,
  name: string | undefined,
  body: JsonObject,
): KubeObject {
  const { kind = type.kind, apiVersion = groupVersionOf(type) } = body;
  if (kind !== type.kind || apiVersion !== groupVersionOf(type)) {
    throw badRequest(
      `${String(kind)} in version "${versionName(String(apiVersion))}" cannot be handled as a ${type.kind}: unknown conversion`,
    );
  }
  const metadata: JsonObject = { ...objectAt(body, 'metadata') };
  const sentNamespace = textAt(metadata, 'namespace') ?? '';
  if (sentNamespace !== '' && sentNamespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (namespace !== '') metadata.namespace = namespace;
  else delete metadata.namespace;
  const sentName = textAt(metadata, 'name') ?? '';
  if (name !== undefined) {
    if (sentName === '') throw badRequest(`name must be provided`);
    if (sentName !== name) {
      throw badRequest(`the name of the object (${sentName}) does not match the name on the URL (${name})`);
    }
  }
  return { ...body, apiVersion, kind, metadata } as KubeObject;
}

function versionName(apiVersion: string): string {
  return apiVersion.split('/').at(-1) ?? apiVersion;
}

/** Whether two states differ in anything but metadata and status: what `generation` counts. */
export function withoutBookkeeping(object: JsonObject, ignoreStatus: boolean): JsonObject {
  const { metadata: _metadata, apiVersion: _version, kind: _kind, ...rest } = object;
  if (!ignoreStatus) return rest;
  const { status: _status, ...spec } = rest;
  return spec;
}

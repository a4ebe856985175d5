import { isObject, type JsonObject } from './json.ts';
import type { Registry } from './registry.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';

/** The answer of `/openapi/v3`: one document a group version. */
export function openapiIndex(registry: Registry): JsonObject {
  const paths: JsonObject = {};
  for (const type of registry.all()) {
    const path = pathOf(type);
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${registry.all().length}` };
  }
  return { paths };
}

/**
 * The answer of `/openapi/v3/api/v1` and its like. It has only what clients look for before they send: that
 * a resource takes `dryRun`, `fieldValidation` and server-side apply; and for `kubectl explain` the schemas of CRDs.
 */
export function openapiDocument(registry: Registry, path: string): JsonObject | undefined {
  const types = registry.all().filter((type) => pathOf(type) === path);
  if (types.length === 0) return undefined;
  const paths: JsonObject = {};
  for (const type of types) {
    const scope = type.namespaced ? '/namespaces/{namespace}' : '';
    paths[`/${path}${scope}/${type.plural}/{name}`] = {
      patch: {
        operationId: `patch${type.kind}`,
        parameters: ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name) => ({
          name,
          in: 'query',
          schema: { type: 'string', uniqueItems: true },
        })),
        responses: {},
        'x-kubernetes-action': 'patch',
        'x-kubernetes-group-version-kind': { group: type.group, version: type.version, kind: type.kind },
      },
    };
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'sandbox' },
    paths,
    components: { schemas: Object.fromEntries(types.map((type) => [schemaName(type), schemaOf(type)])) },
  };
}

function schemaName({ group, version, kind }: ResourceType): string {
  return [...(group === '' ? ['io.k8s.api.core'] : group.split('.').reverse()), version, kind].join('.');
}

function schemaOf({ group, version, kind, custom }: ResourceType): JsonObject {
  const text = (description: string): JsonObject => ({ type: 'string', description });
  const own = custom?.schema ?? {
    description:
      "The sandbox describes no fields of Kubernetes' own kinds: see kubernetes.io/docs/reference.",
  };
  const properties = {
    apiVersion: text('Group and version of the object.'),
    kind: text('Kind of the object.'),
    metadata: { type: 'object', description: 'Name, namespace, labels, annotations.' },
    ...(isObject(own.properties) ? own.properties : {}),
  };
  return {
    ...own,
    type: 'object',
    properties,
    'x-kubernetes-group-version-kind': [{ group, version, kind }],
  };
}

/** The answer of `/openapi/v2`: empty, but well-formed. */
export function openapiV2(): JsonObject {
  return { swagger: '2.0', info: { title: 'Kubernetes', version: 'sandbox' }, paths: {}, definitions: {} };
}

function pathOf(type: ResourceType): string {
  return type.group === '' ? `api/${type.version}` : `apis/${groupVersionOf(type)}`;
}

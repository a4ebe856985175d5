import type { JsonObject } from './json.ts';
import type { Registry } from './registry.ts';
import { groupVersionOf, type ResourceType } from './resources.ts';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** The answer of `/api`. */
export function coreVersions(address: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

/** The answer of `/apis`. */
export function groupList(registry: Registry): JsonObject {
  const groups = [...registry.groups()].map(([name, versions]) => group(name, versions));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** The answer of `/apis/<group>`, or undefined for a group that is not served. */
export function oneGroup(registry: Registry, name: string): JsonObject | undefined {
  const versions = registry.groups().get(name);
  return versions && { kind: 'APIGroup', apiVersion: 'v1', ...group(name, versions) };
}

/** The answer of `/api/v1` and `/apis/<group>/<version>`, or undefined where nothing is served. */
export function resourceList(registry: Registry, name: string, version: string): JsonObject | undefined {
  const types = registry.all().filter((type) => type.group === name && type.version === version);
  const [first] = types;
  if (!first) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersionOf(first),
    resources: types.flatMap(resources),
  };
}

/** The answer of `/version`. */
export function versionInfo(): JsonObject {
  return {
    major: '1',
    minor: '36',
    emulationMajor: '1',
    emulationMinor: '36',
    minCompatibilityMajor: '1',
    minCompatibilityMinor: '35',
    gitVersion: 'v1.36.0+sandbox',
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: 'node/any',
  };
}

function group(name: string, versions: readonly string[]): JsonObject {
  const entries = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: entries, preferredVersion: entries[0] };
}

function resources(type: ResourceType): JsonObject[] {
  const main: JsonObject = {
    name: type.plural,
    singularName: type.singular,
    namespaced: type.namespaced,
    kind: type.kind,
    verbs: type.review ? ['create'] : VERBS,
    ...(type.shortNames.length > 0 ? { shortNames: [...type.shortNames] } : {}),
    ...(type.categories.length > 0 ? { categories: [...type.categories] } : {}),
  };
  return [main, ...type.subresources.map((name) => subresource(type, name))];
}

function subresource(type: ResourceType, name: string): JsonObject {
  const base = { name: `${type.plural}/${name}`, singularName: '', namespaced: type.namespaced };
  if (name === 'scale') {
    return { ...base, group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: ['get', 'patch', 'update'] };
  }
  if (name === 'eviction') {
    return { ...base, group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] };
  }
  if (name === 'binding') return { ...base, kind: 'Binding', verbs: ['create'] };
  if (name === 'log') return { ...base, kind: type.kind, verbs: ['get'] };
  const verbs = name === 'finalize' ? ['update'] : ['get', 'patch', 'update'];
  return { ...base, kind: type.kind, verbs };
}

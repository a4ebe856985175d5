import { parseRule } from './cel-rules.ts';
import {
  ensureObject,
  isObject,
  type Json,
  type JsonObject,
  type KubeObject,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
} from './json.ts';
import { trackUpdate } from './managed-fields.ts';
import { fill } from './pod-defaults.ts';
import { readDeleteOptions, removeObject } from './remove.ts';
import type { ResourceType } from './resources.ts';
import { type Cause, invalidValue, required } from './status.ts';
import type { Strategy } from './strategy.ts';
import { timestamp, type World } from './world.ts';

/** Holds a definition until its objects are gone. */
const CLEANUP = 'customresourcecleanup.apiextensions.k8s.io';
const STORAGE = 'apiextensions.k8s.io/customresourcedefinitions';

/** CustomResourceDefinitions as objects: what they default and what they refuse. */
export const definitionStrategy: Strategy = {
  created: (object) => {
    const stored = objectsAt(object, 'spec', 'versions').find((version) => version.storage === true);
    object.status = {
      conditions: [],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: [textAt(stored, 'name') ?? ''],
    };
  },
  defaults: (object) => {
    const names = ensureObject(object, 'spec', 'names');
    const kind = textAt(names, 'kind') ?? '';
    fill(names, { singular: kind.toLowerCase(), listKind: `${kind}List` });
    fill(ensureObject(object, 'spec'), { conversion: { strategy: 'None' } });
  },
  validate: (object) => {
    const causes: Cause[] = [];
    const group = textAt(object, 'spec', 'group') ?? '';
    const plural = textAt(object, 'spec', 'names', 'plural') ?? '';
    const name = textAt(object, 'metadata', 'name') ?? '';
    if (name !== `${plural}.${group}`) {
      causes.push(invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
    }
    if (group === '') causes.push(required('spec.group'));
    if (!textAt(object, 'spec', 'scope')) causes.push(required('spec.scope'));
    const versions = objectsAt(object, 'spec', 'versions');
    versions.forEach((version, index) => {
      const field = `spec.versions[${index}].schema.openAPIV3Schema`;
      const schema = objectAt(version, 'schema').openAPIV3Schema;
      if (isObject(schema)) causes.push(...ruleSyntaxCauses(schema, field));
      else causes.push(required(field));
    });
    if (versions.filter((version) => version.storage === true).length !== 1) {
      const why = 'must have exactly one version marked as storage version';
      causes.push(invalidValue('spec.versions', versions, why));
    }
    return causes;
  },
};

/** Rules that aren't CEL are refused with the definition, before any object meets them. */
function ruleSyntaxCauses(schema: JsonObject, path: string): Cause[] {
  const causes = objectsAt(schema, 'x-kubernetes-validations').flatMap((rule, index) => {
    try {
      parseRule(textAt(rule, 'rule') ?? '');
      return [];
    } catch (error) {
      const why = `compilation failed: ${error instanceof Error ? error.message : 'not CEL'}`;
      return [invalidValue(`${path}.x-kubernetes-validations[${index}].rule`, textAt(rule, 'rule'), why)];
    }
  });
  for (const [name, child] of Object.entries(objectAt(schema, 'properties'))) {
    if (isObject(child)) causes.push(...ruleSyntaxCauses(child, `${path}.properties[${name}]`));
  }
  for (const name of ['items', 'additionalProperties']) {
    const child = schema[name];
    if (isObject(child)) causes.push(...ruleSyntaxCauses(child, `${path}.${name}`));
  }
  return causes;
}

/** Serves what definitions define: follows their objects in the store. */
export function followDefinitions(world: World): void {
  world.store.listen(({ storage, type, object }) => {
    if (storage === STORAGE && type !== 'DELETED') serve(world, object);
    if (storage === STORAGE && type === 'DELETED') world.registry.replaceCustom(storageOf(object), []);
    // The last object of a definition that is being deleted lets it go.
    if (type === 'DELETED' && storage !== STORAGE) queueMicrotask(() => releaseDefinitions(world));
  });
}

function serve(world: World, definition: KubeObject): void {
  world.registry.replaceCustom(storageOf(definition), typesOf(definition));
  const names = objectAt(definition, 'spec', 'names');
  const established = objectsAt(definition, 'status', 'conditions').some(
    (item) => item.type === 'Established',
  );
  if (definition.metadata.deletionTimestamp !== undefined) {
    queueMicrotask(() => withdraw(world, definition));
    return;
  }
  if (established) return;
  const condition = (type: string, reason: string, message: string): Json => ({
    type,
    status: 'True',
    lastTransitionTime: timestamp(world),
    reason,
    message,
  });
  const status = {
    ...objectAt(definition, 'status'),
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: names,
  };
  // After the write that is being told of, as a controller would.
  queueMicrotask(() => {
    const now = world.store.get(STORAGE, '', definition.metadata.name);
    const type = world.registry.byStorage(STORAGE);
    if (!now || !type) return;
    const finalizers = [...new Set([...textsAt(now, 'metadata', 'finalizers'), CLEANUP])];
    const next: KubeObject = { ...now, status, metadata: { ...now.metadata, finalizers } };
    const writer = { manager: 'kube-apiserver', subresource: 'status' };
    world.store.put(STORAGE, trackUpdate(world, type, now, next, writer));
  });
}

/** Deletes the objects of a definition that is being deleted, then lets it go. */
function withdraw(world: World, definition: KubeObject): void {
  const storage = storageOf(definition);
  const type = world.registry.byStorage(storage);
  for (const object of type ? world.store.list(storage) : []) {
    if (!type || object.metadata.deletionTimestamp !== undefined) continue;
    const options = readDeleteOptions(undefined, new URLSearchParams());
    removeObject(world, type, object.metadata.namespace ?? '', object.metadata.name, options);
  }
  releaseDefinitions(world);
}

function releaseDefinitions(world: World): void {
  for (const definition of world.store.list(STORAGE)) {
    const marked = definition.metadata.deletionTimestamp !== undefined;
    if (!marked || world.store.list(storageOf(definition)).length > 0) continue;
    const finalizers = textsAt(definition, 'metadata', 'finalizers').filter((name) => name !== CLEANUP);
    const next = { ...definition, metadata: { ...definition.metadata, finalizers } };
    if (finalizers.length === 0) world.store.remove(STORAGE, next);
  }
}

function storageOf(definition: KubeObject): string {
  return `${textAt(definition, 'spec', 'group')}/${textAt(definition, 'spec', 'names', 'plural')}`;
}

function typesOf(definition: KubeObject): ResourceType[] {
  const group = textAt(definition, 'spec', 'group') ?? '';
  const names = objectAt(definition, 'spec', 'names');
  const kind = textAt(names, 'kind') ?? '';
  return objectsAt(definition, 'spec', 'versions')
    .filter((version) => version.served !== false)
    .map((version): ResourceType => {
      const subresources = objectAt(version, 'subresources');
      return {
        group,
        version: textAt(version, 'name') ?? '',
        plural: textAt(names, 'plural') ?? '',
        singular: textAt(names, 'singular') ?? kind.toLowerCase(),
        kind,
        listKind: textAt(names, 'listKind') ?? `${kind}List`,
        namespaced: textAt(definition, 'spec', 'scope') === 'Namespaced',
        shortNames: textsAt(names, 'shortNames'),
        categories: textsAt(names, 'categories'),
        subresources: [
          ...(subresources.status === undefined ? [] : ['status']),
          ...(subresources.scale === undefined ? [] : ['scale']),
        ],
        review: false,
        storage: storageOf(definition),
        generation: true,
        custom: {
          schema: objectAt(version, 'schema', 'openAPIV3Schema'),
          columns: objectsAt(version, 'additionalPrinterColumns'),
          scale: isObject(subresources.scale) ? subresources.scale : undefined,
        },
      };
    });
}

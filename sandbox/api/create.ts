import { toStored } from './convert.ts';
import { prepareCustom } from './custom-objects.ts';
import { type JsonObject, type KubeObject, textAt } from './json.ts';
import { trackUpdate } from './managed-fields.ts';
import { addressed, generatedName } from './metadata.ts';
import type { ResourceType } from './resources.ts';
import { ApiError, alreadyExists, type Cause, invalid, notFound } from './status.ts';
import { strategyOf } from './strategy.ts';
import { tidy } from './tidy.ts';
import { dropUnknown, type Via } from './unknown-fields.ts';
import { validateMetadata } from './validate-metadata.ts';
import { timestamp, type World } from './world.ts';

export interface WriteOptions {
  readonly manager: string;
  readonly dryRun: boolean;
  readonly subresource: string;
  /** Whether fields that nobody knows are refused rather than dropped. */
  readonly strict?: boolean;
  readonly via?: Via;
  /** Computes managedFields instead of the ordinary tracking; server-side apply brings its own. */
  readonly manage?: (before: KubeObject | undefined, after: KubeObject) => KubeObject;
}

/** Makes a new object. @throws ApiError */
export function createObject(
  world: World,
  type: ResourceType,
  namespace: string,
  body: JsonObject,
  options: WriteOptions,
): KubeObject {
  const object = toStored(type, structuredClone(addressed(type, namespace, undefined, body)));
  dropUnknown(type, object, options.strict === true, options.via ?? 'body');
  const strategy = strategyOf(type);
  const { metadata } = object;
  if (namespace !== '') requireNamespace(world, type, namespace, textAt(metadata, 'name') ?? '');
  const prefix = textAt(metadata, 'generateName') ?? '';
  if (!metadata.name && prefix !== '') metadata.name = generatedName(prefix, world.random);
  metadata.uid = world.random.uuid();
  metadata.creationTimestamp = timestamp(world);
  for (const field of ['resourceVersion', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink']) {
    delete metadata[field];
  }
  if (type.generation) metadata.generation = 1;
  else delete metadata.generation;
  if (type.subresources.includes('status')) delete object.status;

  const causes: Cause[] = validateMetadata(type, object);
  if (type.custom) causes.push(...prepareCustom(type.custom, object, undefined));
  strategy.created?.(object, world);
  strategy.defaults?.(object);
  if (!type.custom) tidy(object);
  causes.push(...(strategy.validate?.(object) ?? []));
  if (causes.length > 0) throw invalid(type, metadata.name ?? '', causes);
  if (world.store.get(type.storage, namespace, metadata.name)) throw alreadyExists(type, metadata.name);
  const managed = options.manage
    ? options.manage(undefined, object)
    : trackUpdate(world, type, undefined, object, options);
  return options.dryRun ? managed : world.store.put(type.storage, managed);
}

function requireNamespace(world: World, type: ResourceType, namespace: string, name: string): void {
  const found = world.store.get('/namespaces', '', namespace);
  if (!found) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (found.metadata.deletionTimestamp === undefined) return;
  const qualified = type.group === '' ? type.plural : `${type.plural}.${type.group}`;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  throw new ApiError(403, 'Forbidden', `${qualified} "${name}" is forbidden: ${why}`, {
    name,
    ...(type.group === '' ? {} : { group: type.group }),
    kind: type.plural,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  });
}

import { metadataOnly } from './convert.ts';
import { type JsonObject, type KubeObject, textAt } from './json.ts';
import type { RenderRequest } from './render.ts';

/** Objects as a Table, which is what kubectl asks for to print. */
export function tableOf(
  asked: RenderRequest,
  objects: KubeObject[],
  metadata: JsonObject,
  headers: boolean,
): JsonObject {
  const columns = [column('Name', 'string', 'name'), column('Created At', 'date')];
  const rows = objects.map((object) => ({
    cells: [object.metadata.name, textAt(object, 'metadata', 'creationTimestamp') ?? null],
    ...(asked.include === 'None'
      ? {}
      : { object: asked.include === 'Object' ? object : metadataOnly(object) }),
  }));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: headers ? columns : [],
    rows,
  };
}

function column(name: string, type: string, format = ''): JsonObject {
  return { name, type, format, description: name, priority: 0 };
}

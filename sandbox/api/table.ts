import { ageText } from './age.ts';
import { builtInColumns, customColumns } from './columns.ts';
import { metadataOnly } from './convert.ts';
import type { Json, JsonObject, KubeObject } from './json.ts';
import type { RenderRequest } from './render.ts';

/** Objects as a Table, which is what kubectl asks for to print. */
export function tableOf(
  asked: RenderRequest,
  objects: KubeObject[],
  metadata: JsonObject,
  headers: boolean,
): JsonObject {
  const { type, world, include } = asked;
  const columns = type.custom ? customColumns(type.custom.columns) : builtInColumns(type.group, type.kind);
  const age = (time: Json | undefined) =>
    typeof time === 'string' ? ageText(world.clock.now().getTime() - Date.parse(time)) : '<unknown>';
  const rows = objects.map((object) => ({
    cells: columns.map((column) => column.cell(object, age)),
    ...(include === 'None' ? {} : { object: include === 'Object' ? object : metadataOnly(object) }),
  }));
  const definitions = columns.map(({ name, type, format, priority }) => ({
    name,
    type,
    format,
    description: name,
    priority,
  }));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: headers ? definitions : [],
    rows,
  };
}

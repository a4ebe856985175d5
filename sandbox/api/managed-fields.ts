import type { KubeObject } from './json.ts';
import type { ResourceType } from './resources.ts';
import type { World } from './world.ts';

/** Who wrote, and through which subresource. */
export interface Writer {
  readonly manager: string;
  readonly subresource: string;
}

/** The object with the writer recorded for every field that it changed. */
export function trackUpdate(
  _world: World,
  _type: ResourceType,
  _before: KubeObject | undefined,
  after: KubeObject,
  _writer: Writer,
): KubeObject {
  return after;
}

import { coreStrategies } from './core-strategies.ts';
import { definitionStrategy } from './definitions.ts';
import type { JsonObject, KubeObject } from './json.ts';
import { otherStrategies } from './other-strategies.ts';
import type { ResourceType } from './resources.ts';
import type { Cause } from './status.ts';
import { workloadStrategies } from './workload-strategies.ts';
import type { World } from './world.ts';

/** What one kind does beyond what every object does. Each part works on a fresh copy it may change. */
export interface Strategy {
  /** Fills in what was left out; also on update. */
  readonly defaults?: (object: JsonObject) => void;
  /** What only a new object gets. */
  readonly created?: (object: JsonObject, world: World) => void;
  /** Carries over what a client can't change, before validation. */
  readonly updated?: (object: JsonObject, before: KubeObject) => void;
  readonly validate?: (object: JsonObject) => Cause[];
  readonly validateUpdate?: (object: JsonObject, before: KubeObject) => Cause[];
}

const STRATEGIES: Readonly<Record<string, Strategy>> = {
  ...coreStrategies,
  ...otherStrategies,
  ...workloadStrategies,
  'apiextensions.k8s.io/CustomResourceDefinition': definitionStrategy,
};

const NONE: Strategy = {};

/** The behaviour of a built-in kind; nothing special for most. */
export function strategyOf(type: ResourceType): Strategy {
  return STRATEGIES[`${type.group}/${type.kind}`] ?? NONE;
}

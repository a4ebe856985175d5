import { builtInTypes, type ResourceType } from './resources.ts';

/** The resources being served: the built-in ones, and those that CRDs add and take away. */
export class Registry {
  #types: ResourceType[] = builtInTypes();

  all(): readonly ResourceType[] {
    return this.#types;
  }

  find(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#types.find(
      (type) => type.group === group && type.version === version && type.plural === plural,
    );
  }

  byKind(group: string, version: string, kind: string): ResourceType | undefined {
    return this.#types.find((type) => type.group === group && type.version === version && type.kind === kind);
  }

  /** Any version that keeps its objects there. */
  byStorage(storage: string): ResourceType | undefined {
    return this.#types.find((type) => type.storage === storage);
  }

  /** Replaces what one CRD serves; an empty list takes it away. */
  replaceCustom(storage: string, types: readonly ResourceType[]): void {
    this.#types = [...this.#types.filter((type) => !type.custom || type.storage !== storage), ...types];
  }

  /** Groups with their versions, the core group left out, in the order they were added. */
  groups(): Map<string, string[]> {
    const groups = new Map<string, string[]>();
    for (const { group, version } of this.#types) {
      if (group === '') continue;
      const versions = groups.get(group) ?? [];
      if (!versions.includes(version)) versions.push(version);
      groups.set(group, versions);
    }
    return groups;
  }
}

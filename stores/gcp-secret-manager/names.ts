import { RotorError } from '../../core/errors.ts';
import type { SecretManagerSpec } from './spec.ts';

const LONGEST = 255 - '---rotor'.length;

/**
 * Resource names for a store path. Ids of secrets take letters, digits, `_` and `-` only, so `/` is written `--`.
 * What is Rotor's own has three dashes, which no path has.
 */
export class Names {
  /** `projects/p` or `projects/p/locations/l`. */
  readonly parent: string;
  readonly id: string;

  /** @throws RotorError `manifest.invalid` for a path that has no id, or one that another path has too */
  constructor({ project, location, prefix }: SecretManagerSpec, path: string) {
    this.parent = `projects/${project}${location ? `/locations/${location}` : ''}`;
    this.id = `${prefix}${path.replaceAll('/', '--')}`;
    const valid = path.split('/').every((part) => /^[0-9A-Za-z_]+(-[0-9A-Za-z_]+)*$/.test(part));
    if (valid && this.id.length <= LONGEST) return;
    throw new RotorError('manifest.invalid', {
      what: `store path ${JSON.stringify(path.slice(0, 300))} is not usable in Secret Manager`,
      hint: `Use letters, digits, "_" and single "-" between them, in parts split by "/" (written "--" there), at most ${LONGEST} characters with the prefix.`,
    });
  }

  /** What consumers read. */
  get live(): string {
    return `${this.parent}/secrets/${this.id}`;
  }

  /** Holds the documents of all versions, and the record of their stages in an annotation. */
  get ours(): string {
    return `${this.live}---rotor`;
  }

  get oursId(): string {
    return `${this.id}---rotor`;
  }
}

/** `.../versions/7` -> 7. */
export function numberIn(name: string | null | undefined): number {
  return Number(/\/versions\/(\d+)$/.exec(name ?? '')?.[1] ?? 0);
}

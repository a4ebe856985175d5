import { RotorError } from '../../core/errors.ts';

/** Key Vault's longest name less the longest ending of ours. */
const LONGEST = 127 - '---rotor-turn-'.length - 32;

/**
 * Names of secrets for a store path. Key Vault takes letters, digits and `-` only, so `/` is written `--`, as
 * configuration libraries for Key Vault do. What is Rotor's own has three dashes, which no path has.
 */
export class Names {
  /** What consumers read. */
  readonly live: string;

  /** @throws RotorError `manifest.invalid` for a path that has no name, or one that another path has too */
  constructor(prefix: string, path: string) {
    this.live = `${prefix}${path.replaceAll('/', '--')}`;
    const valid = path.split('/').every((part) => /^[0-9A-Za-z]+(-[0-9A-Za-z]+)*$/.test(part));
    if (valid && this.live.length <= LONGEST) return;
    throw new RotorError('manifest.invalid', {
      what: `store path ${JSON.stringify(path.slice(0, 200))} is not usable in Azure Key Vault`,
      hint: `Use letters, digits and single "-" between them, in parts split by "/" (written "--" there), at most ${LONGEST} characters with the prefix.`,
    });
  }

  /** Holds which version is pending, in its tags. */
  get record(): string {
    return `${this.live}---rotor-stages`;
  }

  /** Holds the document of one version. */
  kept(versionId: string): string {
    if (!/^[A-Za-z0-9-]{1,36}$/.test(versionId)) {
      throw new RotorError('internal.bug', {
        what: 'a version id has characters that no id of the ledger has',
      });
    }
    return `${this.live}---rotor-${versionId}`;
  }

  /** Holds the claims of those who want to replace what Key Vault calls `version` (undefined: nothing is there yet). */
  turn(version: string | undefined): string {
    return `${this.live}---rotor-turn-${version ?? 'first'}`;
  }
}

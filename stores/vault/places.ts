import canonicalize from 'canonicalize';
import { RotorError } from '../../core/errors.ts';
import { jsonObjectIn } from '../../core/json.ts';
import { SecretValue } from '../../core/secret.ts';

/** Where things are below a mount. All may be leaf and folder at once, as Vault allows. */
export class Places {
  readonly #root: string;

  constructor(versionsPath: string) {
    this.#root = versionsPath;
  }

  /**
   * What consumers read.
   * @throws RotorError `manifest.invalid` for a path that Vault would take for another, or that is Rotor's own
   */
  live(path: string): string {
    const parts = path.split('/');
    const valid =
      path.length <= 400 && parts.every((part) => /^[\w.@ -]+$/.test(part) && part !== '.' && part !== '..');
    if (!valid || path === this.#root || path.startsWith(`${this.#root}/`)) {
      throw new RotorError('manifest.invalid', {
        what: `store path ${JSON.stringify(path.slice(0, 400))} is not usable in Vault`,
        hint: `Use letters, digits, "_", "-", "." and "@" in parts split by "/", outside of "${this.#root}", and leave out "data/".`,
      });
    }
    return path;
  }

  record(path: string): string {
    return `${this.#root}/stages/${this.live(path)}`;
  }

  version(path: string, versionId: string): string {
    if (!/^[A-Za-z0-9-]{1,64}$/.test(versionId)) {
      throw new RotorError('internal.bug', {
        what: 'a version id has characters that no id of the ledger has',
      });
    }
    return `${this.#root}/versions/${this.live(path)}/${versionId}`;
  }

  /** What Rotor must be allowed on each place, by Vault's names. */
  needed(path: string): Readonly<Record<string, readonly string[]>> {
    const writes = ['create', 'read', 'update'];
    const version = this.version(path, 'x');
    return {
      [`data/${this.live(path)}`]: writes,
      [`destroy/${this.live(path)}`]: ['update'],
      [`data/${this.record(path)}`]: writes,
      [`data/${version}`]: writes,
      [`metadata/${version}`]: ['delete'],
    };
  }

  /** A document as it is kept, byte for byte, whatever it is. */
  kept(document: SecretValue): SecretValue {
    return SecretValue.of(JSON.stringify({ document: document.reveal() }));
  }
}

/** The document in what {@link Places.kept} made. */
export function documentIn(data: SecretValue): SecretValue {
  const { document } = JSON.parse(data.reveal()) as { document?: unknown };
  return SecretValue.of(typeof document === 'string' ? document : '');
}

/**
 * What consumers read: a document that is a JSON object field by field (`.data.password` in templates), anything
 * else as `value`.
 */
export function publicForm(document: SecretValue): SecretValue {
  const object = jsonObjectIn(document.reveal());
  return SecretValue.of(JSON.stringify(object ?? { value: document.reveal() }));
}

/** The document in what somebody else wrote: its fields, or what its only field `value` holds. */
export function documentOf(data: SecretValue): SecretValue {
  const fields = jsonObjectIn(data.reveal()) ?? {};
  const { value } = fields as { value?: unknown };
  const only = Object.keys(fields).length === 1 && typeof value === 'string';
  return SecretValue.of(only ? value : JSON.stringify(fields));
}

/** Whether two JSON texts say the same; Vault gives fields back in another order than it got them. */
export function sameFields(one: SecretValue, other: SecretValue): boolean {
  const canonical = (text: SecretValue) => SecretValue.of(canonicalize(JSON.parse(text.reveal())) ?? '');
  return canonical(one).equals(canonical(other));
}

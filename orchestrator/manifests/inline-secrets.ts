import type { Path } from './problem.ts';

/** Field names that hold a secret when their value is plain text. `passwordFrom` and `tokenFile` don't match. */
const SECRET_NAME =
  /(^pass|pass(word|wd|phrase)|pwd|secret|token|(api|access|private|secret)[-_]?key|secret[-_]?access[-_]?key|credentials?|connection[-_]?string)$/i;
/** A template's `{{password}}` in its place is no password. */
const URL_WITH_PASSWORD = /[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:(?!\{\{)[^\s/@]+@/i;

/** Names of objects and fields in a delegated consumer, which sound like secrets and are none. */
const OBJECT_NAMES = ['externalSecret', 'vaultStaticSecret'];

function isName(path: Path, name: string): boolean {
  const [parent, last] = [path.at(-2), path.at(-1)];
  return (last === 'delegated' && OBJECT_NAMES.includes(name)) || (parent === 'delegated' && last === 'keys');
}

export interface InlineSecret {
  readonly path: Path;
  readonly message: string;
}

/** Every place in `document` where somebody seems to have written a secret instead of a reference to one. */
export function findInlineSecrets(document: unknown, path: Path = []): InlineSecret[] {
  if (typeof document === 'string' && URL_WITH_PASSWORD.test(document)) {
    return [{ path, message: 'must not hold a password: leave it out of the URL and write a reference' }];
  }
  if (typeof document !== 'object' || document === null) return [];
  if (Array.isArray(document))
    return document.flatMap((item, index) => findInlineSecrets(item, [...path, index]));
  return Object.entries(document).flatMap(([name, value]): InlineSecret[] => {
    // A template that is filled from the credential, as in the data of a delivered Secret, is no secret itself.
    const filled = typeof value === 'string' && /^\s*\{\{[^{}]+\}\}\s*$/.test(value);
    const plain = (typeof value === 'string' && !filled) || typeof value === 'number';
    if (!plain || !SECRET_NAME.test(name) || isName(path, name))
      return findInlineSecrets(value, [...path, name]);
    const message = `must not be written here: write a reference, e.g. ${name}From: {file: ...}`;
    return [{ path: [...path, name], message }];
  });
}

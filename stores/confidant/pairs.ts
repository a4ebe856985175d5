import canonicalize from 'canonicalize';
import { jsonObjectIn } from '../../core/json.ts';
import { SecretValue } from '../../core/secret.ts';

/** Key of what is no flat object. */
const WHOLE = 'document';

type Pairs = Readonly<Record<string, unknown>>;

/**
 * Credential pairs of a document, as JSON text: each field under its name in small letters, as Confidant itself writes
 * them. What can't be told apart that way, isn't flat, or has blanks in a name, is kept whole.
 */
export function pairsOf(document: SecretValue, pair: string | undefined): SecretValue {
  const whole = (key: string) => SecretValue.of(JSON.stringify({ [key]: document.reveal() }));
  if (pair !== undefined) return whole(pair);
  const fields = flat(document);
  if (!fields) return whole(WHOLE);
  const small = Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value] as const);
  const distinct = new Set(small.map(([name]) => name)).size === small.length;
  return distinct ? SecretValue.of(JSON.stringify(Object.fromEntries(small))) : whole(WHOLE);
}

/** The document in credential pairs. */
export function documentOf(pairs: Pairs, pair: string | undefined): SecretValue {
  const only = pairs[pair ?? WHOLE];
  const alone = Object.keys(pairs).length === 1 && typeof only === 'string';
  return SecretValue.of(alone ? only : JSON.stringify(pairs));
}

/** The same text for the same pairs, in whatever order they come. */
export function canonicalPairs(pairs: Pairs): SecretValue {
  return SecretValue.of(canonicalize(pairs) ?? '');
}

function flat(document: SecretValue): Pairs | undefined {
  const parsed = jsonObjectIn(document.reveal());
  if (!parsed) return undefined;
  const entries = Object.entries(parsed);
  const fits = entries.every(
    ([name, value]) => !/\s/.test(name) && (typeof value !== 'object' || value === null),
  );
  return fits && entries.length > 0 ? parsed : undefined;
}

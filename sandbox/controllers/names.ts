import { createHash, randomInt } from 'node:crypto';

/** Letters that spell no words and can't be mistaken for one another, as Kubernetes uses them. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const LONGEST_PREFIX = 58;

/** A name that the server would have generated from this prefix. */
export function generatedName(prefix: string): string {
  const suffix = Array.from({ length: 5 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return prefix.slice(0, LONGEST_PREFIX) + suffix;
}

/** A short label value that is the same for equal values, whatever the order of their fields. */
export function hashOf(value: unknown, collisions = 0): string {
  const digest = createHash('sha256').update(canonical(value)).update(String(collisions)).digest();
  return [...digest.subarray(0, 10)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

/** The same text for equal values; null and undefined fields count as absent. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => {
    if (field === null) return undefined;
    if (typeof field !== 'object' || Array.isArray(field)) return field;
    return Object.fromEntries(Object.entries(field as object).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

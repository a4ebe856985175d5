import { createHash } from 'node:crypto';

/** Label of a Secret that is made anew for each version: the name that the policy gives it. */
export const LOGICAL_NAME = 'rotor.dev/secret';

const HASH = 12;
/** The longest name of an object is 253 characters; the hash and its dash are ours. */
const LONGEST = 253 - HASH - 1;

/** `text` where it fits into `most` characters; else its beginning and a hash of the whole. */
export function fitting(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 17)}.${hash(text, 16)}`;
}

/**
 * Name of the Secret that holds one version: the policy's name for it and a hash of the version's id. Twelve characters,
 * so that it is never taken for one of Kustomize's, which have ten.
 */
export function versionedName(logical: string, versionId: string): string {
  return `${fitting(logical, LONGEST)}-${hash(versionId, HASH)}`;
}

/** Whether a Secret's name is the policy's name itself, or that of one of its versions. */
export function belongsTo(logical: string, name: string): boolean {
  if (name === logical) return true;
  const start = `${fitting(logical, LONGEST)}-`;
  return name.startsWith(start) && new RegExp(`^[0-9a-f]{${HASH}}$`).test(name.slice(start.length));
}

/** The other way round: the policy's name for a Secret of one version; any other name is its own. */
export function logicalNameOf(name: string): string {
  return new RegExp(`^(.+)-[0-9a-f]{${HASH}}$`).exec(name)?.[1] ?? name;
}

function hash(text: string, characters: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, characters);
}

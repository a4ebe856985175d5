import { RotorError } from './errors.ts';

/** What a URL takes for "here" and "one up": encoded or not, it goes somewhere else than the name says. */
const DOTS = /^\.\.?$/;

/** For patterns of schemas that take names and paths of others: `.refine(...noDotSegments)`. */
export const noDotSegments = [
  (text: string) => !hasDotSegment(text),
  { error: 'must not have "." or ".." for a part' },
] as const;

function hasDotSegment(path: string): boolean {
  return path.split('/').some((part) => DOTS.test(part));
}

/**
 * One part of a URL's path, slashes encoded too.
 * @throws RotorError `manifest.invalid` for "." and "..", which no encoding keeps from being resolved
 */
export function urlPart(name: string): string {
  if (!DOTS.test(name)) return encodeURIComponent(name);
  throw new RotorError('manifest.invalid', {
    what: `the name ${JSON.stringify(name)} can't be part of an address: it would lead to another one`,
    hint: 'Look for a "." or ".." between slashes in what the manifest names.',
  });
}

/** A URL's path of parts split by "/". @throws as {@link urlPart} */
export function urlPath(path: string): string {
  return path.split('/').map(urlPart).join('/');
}

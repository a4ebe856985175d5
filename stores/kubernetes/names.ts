import { createHash } from 'node:crypto';
import { RotorError } from '../../core/errors.ts';
import type { ObjectRef } from '../../core/kubernetes/cluster.ts';

/** An annotation keeps the whole path, so that what has its name is known to be its own. */
const MAX_PATH = 400;

/**
 * What the objects of a store path are called and labelled: `rotor-shop-app-<hash of the path>`. Objects' names know fewer
 * characters than paths, so the hash tells `shop/app`, `shop-app` and `Shop/App` apart; the rest is for people.
 * @throws RotorError `manifest.invalid` for a path that no manifest should have
 */
export function baseName(path: string): string {
  const valid =
    path.length <= MAX_PATH &&
    path.split('/').every((part) => /^[\w.@-]+$/.test(part) && part !== '.' && part !== '..');
  if (!valid)
    throw new RotorError('manifest.invalid', {
      what: `store path ${JSON.stringify(path.slice(0, MAX_PATH))} is not usable in a cluster`,
      hint: `Use at most ${MAX_PATH} letters, digits, "_", "-", "." and "@", in parts split by "/" that aren't "." or "..".`,
    });
  const readable = path
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 39)
    .replace(/^-|-$/g, '');
  const hash = createHash('sha256').update(path).digest('hex').slice(0, 16);
  // At most 63 characters: it is the value of a label, too.
  return ['rotor', readable, hash].filter((part) => part !== '').join('-');
}

/** The Secret that says which version has which stage. */
export function indexRef(namespace: string, path: string): ObjectRef {
  return { apiVersion: 'v1', kind: 'Secret', namespace, name: baseName(path) };
}

/** The Secret that holds one version. */
export function versionRef(namespace: string, path: string, versionId: string): ObjectRef {
  if (!/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/.test(versionId))
    throw new RotorError('internal.bug', {
      what: `version id ${JSON.stringify(versionId.slice(0, 64))} has characters that no id of the ledger has`,
    });
  return { apiVersion: 'v1', kind: 'Secret', namespace, name: `${baseName(path)}.${versionId}` };
}

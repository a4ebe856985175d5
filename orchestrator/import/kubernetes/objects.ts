import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Call } from '../../../core/call.ts';
import { systemClock } from '../../../core/clock.ts';
import { foreignCode, RotorError } from '../../../core/errors.ts';
import { type Clusters, kubeconfigClusters } from '../../../core/kubernetes/cluster.ts';
import { silentLog } from '../../../core/log.ts';
import { cryptoRandom } from '../../../core/random.ts';
import { Deadline } from '../../../core/retry.ts';

const notes = z.record(z.string(), z.string()).catch({});
const object = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().default('default'),
    annotations: notes.default({}),
  }),
});

/** An object of a cluster, of which only what is asked for is looked at. */
export type Found = z.output<typeof object>;

export interface ObjectOptions {
  /** YAML files; the cluster when absent. */
  readonly files?: readonly string[] | undefined;
  readonly context?: string | undefined;
  /** All namespaces when absent. */
  readonly from?: string | undefined;
  /** Those of the kubeconfig when absent. */
  readonly clusters?: Clusters | undefined;
}

const WAIT_MS = 60_000;

/** Objects of these kinds, out of files or a cluster. Secrets are never asked for. @throws RotorError */
export async function findObjects(
  { files, context, from, clusters = kubeconfigClusters() }: ObjectOptions,
  kinds: readonly (readonly [apiVersion: string, kind: string])[],
): Promise<readonly Found[]> {
  if (files) {
    const read = await Promise.all(files.map(objectsOf));
    return read.flat().filter(({ kind }) => kinds.some(([, wanted]) => wanted === kind));
  }
  const cluster = await clusters.open(context);
  const deadline = Deadline.after(WAIT_MS);
  const call: Call = { deadline, clock: systemClock, random: cryptoRandom, log: silentLog, fence: 0n };
  const found: Found[] = [];
  for (const [apiVersion, kind] of kinds) {
    const listed = await cluster
      .list(call, { apiVersion, kind, namespace: from as string })
      .catch((thrown) => {
        // The kind isn't installed there.
        if (thrown instanceof RotorError && thrown.code === 'cluster.not-found') return [];
        throw thrown;
      });
    for (const each of listed) {
      const parsed = object.safeParse({ ...each, apiVersion, kind });
      if (parsed.success) found.push(parsed.data);
    }
  }
  return found;
}

async function objectsOf(file: string): Promise<readonly Found[]> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
  const documents = parseAllDocuments(text);
  return (Array.isArray(documents) ? documents : []).flatMap((document): Found[] => {
    if (document.errors.length > 0)
      throw new RotorError('manifest.invalid', {
        what: `${file}: it is not YAML`,
        hint: 'Correct the file.',
      });
    const written: unknown = document.toJS({ maxAliasCount: 100 });
    const items = (written as { items?: unknown } | null)?.items;
    return (Array.isArray(items) ? items : [written]).flatMap((each) => {
      const parsed = object.safeParse(each);
      return parsed.success ? [parsed.data] : [];
    });
  });
}

/** What lies at a path within an object; undefined where there is nothing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (each, key) =>
      typeof each === 'object' && each !== null ? (each as Record<string, unknown>)[key] : undefined,
    value,
  );
}

/** Text at a path; undefined where there is none. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

/** A list at a path; empty where there is none. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

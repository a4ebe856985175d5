import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { noLedger } from '../../ledger/database.ts';
import { rotators } from '../../rotators/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { allStores } from '../../workers/stageless/stores.ts';
import { loadManifests } from '../manifests/load.ts';
import type { Manifest } from '../manifests/manifest.ts';

/** The kinds that this version knows; for reading manifests no key and no allow-list is needed. */
export function knownKinds(): Registries {
  return {
    rotators,
    stores: allStores({ keyring: Keyring.generate(), ledger: noLedger }),
    deliveries: deliveries({ clusters: noClusters }),
    rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
  };
}

/**
 * Reads and checks manifests here, so that problems name the user's own files and lines, and joins them for the API.
 * @throws ManifestError with every problem
 */
export async function readManifestFiles(
  paths: readonly string[],
): Promise<{ manifests: readonly Manifest[]; text: string }> {
  if (paths.includes('-')) {
    const content = await textOf(process.stdin);
    const { Readable } = await import('node:stream');
    const manifests = await loadManifests(paths, knownKinds(), { stdin: Readable.from([content]) });
    return { manifests, text: content };
  }
  const manifests = await loadManifests(paths, knownKinds());
  const texts = await Promise.all((await filesOf(paths)).map((file) => readFile(file, 'utf8')));
  return { manifests, text: texts.join('\n---\n') };
}

async function filesOf(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (!(await stat(path)).isDirectory()) files.push(path);
    else {
      const entries = (await readdir(path, { withFileTypes: true })).filter(
        ({ name }) => !name.startsWith('.'),
      );
      const inside = entries.filter(
        (entry) => entry.isDirectory() || ['.yaml', '.yml', '.json'].includes(extname(entry.name)),
      );
      files.push(...(await filesOf(inside.map(({ name }) => join(path, name)).sort())));
    }
  }
  return files;
}

import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keyring } from '../../core/seal-keyring.ts';
import type { StoreSession } from '../../stores/store.ts';

/** What the kit needs of a store: sessions on one fresh, empty home, and where to look for plaintext. */
export interface StoreScenario {
  /** Opens another session on the same home, as another worker would. */
  open(): StoreSession;
  /** Every byte that the home keeps at rest, for the search for plaintext; undefined when others keep it. */
  atRest?(): Promise<readonly Buffer[]>;
}

export const keyring = Keyring.generate();

/** One entry per registered store, by its kind. A store without one fails the suite. */
export const storeScenarios: Readonly<Record<string, () => Promise<StoreScenario>>> = {
  local: async () => {
    const { localStore } = await import('../../stores/local/store.ts');
    const folder = join(await mkdtemp(join(tmpdir(), 'rotor-store-')), 'store');
    const store = localStore(keyring);
    const spec = store.spec.parse({ path: folder });
    return { open: () => store.open(spec), atRest: () => everyByteIn(folder) };
  },
};

/** Names and contents of all files below `folder`. */
export async function everyByteIn(folder: string): Promise<readonly Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const contents = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name))));
  return [...contents, ...files.map((file) => Buffer.from(join(file.parentPath, file.name)))];
}

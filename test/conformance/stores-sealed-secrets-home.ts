import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sealedSecretsStore } from '../../stores/sealed-secrets/store.ts';
import { aRepository, aSealingKey, type SealingKey } from '../setup/sealed-secrets.ts';
import type { StoreScenario } from './stores-scenarios.ts';
import { onShelf, stagedHere, stopShelf } from './stores-stageless-home.ts';

let key: Promise<SealingKey> | undefined;
const repositories: Awaited<ReturnType<typeof aRepository>>[] = [];

/** One key of a controller for all homes of this process: making one takes a while. */
export async function theSealingKey(): Promise<SealingKey> {
  key ??= mkdtemp(join(tmpdir(), 'rotor-sealing-')).then((folder) =>
    aSealingKey(folder, 'first', '20260101000000Z'),
  );
  return key;
}

export const sealedSecretsScenario: StoreScenario = {
  server: 'real: git, a bare repository',
  skipped: '',
  home: async () => {
    const repository = await aRepository();
    repositories.push(repository);
    const store = await stagedHere(sealedSecretsStore);
    const { certificate } = await theSealingKey();
    const git = { url: repository.url, branch: 'main' };
    const spec = store.spec.parse({ certificate: { file: certificate }, namespace: 'default', git });
    return {
      open: () => store.open(spec),
      atRest: async () => [...(await onShelf()), Buffer.from(await repository.git('log', '-p', '--all'))],
    };
  },
  stop: async () => {
    await stopShelf();
    for (const repository of repositories.splice(0)) await repository.remove();
  },
};

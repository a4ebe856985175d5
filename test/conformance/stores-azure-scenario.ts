import { randomUUID } from 'node:crypto';
import { startKeyVault, type TestKeyVault } from '../setup/key-vault.ts';
import type { StoreScenario } from './stores-scenarios.ts';

let started: Promise<TestKeyVault> | undefined;

export const azureScenario: StoreScenario = {
  server: 'double: Key Vault',
  skipped: '',
  home: async () => {
    started ??= startKeyVault();
    const { vault } = await started;
    const { azureKeyVaultStore } = await import('../../stores/azure-key-vault/store.ts');
    const store = azureKeyVaultStore();
    const prefix = `k${randomUUID().slice(0, 8)}-`;
    const spec = store.spec.parse({ vaultUrl: vault.url, prefix, create: true });
    return { open: () => store.open(spec) };
  },
  stop: async () => {
    const running = started;
    started = undefined;
    await (await running)?.stop();
  },
};

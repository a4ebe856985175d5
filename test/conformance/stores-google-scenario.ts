import { randomUUID } from 'node:crypto';
import { startSecretManager, type TestSecretManager } from '../setup/secret-manager.ts';
import type { StoreScenario } from './stores-scenarios.ts';

let started: Promise<TestSecretManager> | undefined;

export const googleScenario: StoreScenario = {
  server: 'double: Secret Manager',
  skipped: '',
  home: async () => {
    started ??= startSecretManager();
    const { google } = await started;
    const { gcpSecretManagerStore } = await import('../../stores/gcp-secret-manager/store.ts');
    const store = gcpSecretManagerStore();
    const prefix = `k${randomUUID().slice(0, 8)}-`;
    const spec = store.spec.parse({ project: 'shop-1', endpoint: google.url, prefix, create: true });
    return { open: () => store.open(spec) };
  },
  stop: async () => {
    const running = started;
    started = undefined;
    await (await running)?.stop();
  },
};

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{core,rotators,stores,ledger,workers,orchestrator,sandbox,test}/**/*.test.ts'],
    globalSetup: ['test/setup/servers.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});

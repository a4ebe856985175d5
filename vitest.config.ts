import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The suites that start processes and servers come first, so that nobody waits for one of them at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      ['/test/crash/', '/test/conformance/', '/test/'].findIndex((folder) => moduleId.includes(folder));
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => ((rank(one) + 4) % 4) - ((rank(other) + 4) % 4));
  }
}

export default defineConfig({
  test: {
    include: ['{core,rotators,stores,ledger,workers,functions,orchestrator,sandbox,test}/**/*.test.ts'],
    globalSetup: ['test/setup/servers.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // On a cluster that is given one file after the other: the pods of one run on the node that another would take away.
    maxWorkers: process.env.ROTOR_TEST_KUBECONFIG ? 1 : 3,
    sequence: { sequencer: LongestFirst },
  },
});

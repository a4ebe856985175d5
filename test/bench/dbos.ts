import { DBOS } from '@dbos-inc/dbos-sdk';
import { timed } from './empty-saga.ts';

/** The same six empty steps as a DBOS workflow, on the same PostgreSQL. @returns milliseconds for each concurrency */
export async function runDbos(
  url: string,
  runs: readonly { count: number; concurrency: number }[],
): Promise<number[]> {
  const workflow = DBOS.registerWorkflow(
    async () => {
      for (let step = 1; step <= 6; step += 1)
        await DBOS.runStep(async () => undefined, { name: `step${step}` });
    },
    { name: 'six-empty-steps' },
  );
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, logLevel: 'error', runAdminServer: false });
  await DBOS.launch();
  try {
    await timed(5, 1, () => workflow());
    const results: number[] = [];
    for (const { count, concurrency } of runs)
      results.push(await timed(count, concurrency, () => workflow()));
    return results;
  } finally {
    await DBOS.shutdown();
  }
}

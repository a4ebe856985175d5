import { DBOS } from '@dbos-inc/dbos-sdk';
import { timed } from './empty-saga.ts';

export interface DbosBench {
  /** @returns milliseconds */
  run(count: number, concurrency: number): Promise<number>;
  stop(): Promise<void>;
}

/** The same six empty steps as a DBOS workflow, on the same PostgreSQL. */
export async function startDbos(url: string): Promise<DbosBench> {
  const workflow = DBOS.registerWorkflow(
    async () => {
      for (let step = 1; step <= 6; step += 1)
        await DBOS.runStep(async () => undefined, { name: `step${step}` });
    },
    { name: 'six-empty-steps' },
  );
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, logLevel: 'error', runAdminServer: false });
  await DBOS.launch();
  return {
    run: (count, concurrency) => timed(count, concurrency, () => workflow()),
    stop: () => DBOS.shutdown(),
  };
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { functionEntries } from '../../functions/registry.ts';
import { bundleFunction } from '../../scripts/bundle-function.ts';
import { median } from './rotation.ts';

const MODULES = fileURLToPath(new URL('../../node_modules/@aws-sdk', import.meta.url));
const TIMES = 9;
const EVENT = {
  SecretId: 'db',
  ClientRequestToken: '6c8f3b0e-0f6f-4c2e-9d0c-1f0b7d0c8a11',
  Step: 'createSecret',
};
const RUNNER = `
import { handler } from './index.mjs';
await handler(${JSON.stringify(EVENT)}, { awsRequestId: 'r', getRemainingTimeInMillis: () => 30_000 }).catch(() => {});
process.exit(0);`;

export interface FunctionMeasures {
  readonly name: string;
  readonly zipBytes: number;
  /** From the start of the process to the first call at Secrets Manager. */
  readonly coldMs: number;
}

/** (f) Size of each zip, and its cold start; the SDK is beside it, as in Lambda's runtime. */
export async function measureFunctions(
  folder: string,
): Promise<{ bareMs: number; functions: FunctionMeasures[] }> {
  let called: (() => void) | undefined;
  const server = createServer((_request, response) => {
    called?.();
    response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' });
    response.end('{"__type":"ResourceNotFoundException","message":"bench"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const env = {
    ...process.env,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    SECRETS_MANAGER_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  };
  const functions: FunctionMeasures[] = [];
  for (const { name, kind } of functionEntries) {
    const zip = await bundleFunction(kind);
    const place = await mkdtemp(join(folder, `${kind}-`));
    await writeFile(join(place, 'index.mjs'), unzipSync(zip)['index.mjs'] ?? '');
    await writeFile(join(place, 'run.mjs'), RUNNER);
    await mkdir(join(place, 'node_modules'));
    await symlink(MODULES, join(place, 'node_modules/@aws-sdk'));
    const times: number[] = [];
    for (let time = 0; time < TIMES; time += 1) {
      const startedMs = performance.now();
      const first = new Promise<number>((resolve) => {
        called = () => resolve(performance.now() - startedMs);
      });
      const child = spawn(process.execPath, [join(place, 'run.mjs')], { env, stdio: 'ignore' });
      const ended = once(child, 'exit');
      times.push(await first);
      await ended;
    }
    functions.push({ name, zipBytes: zip.length, coldMs: median(times) });
    await rm(place, { recursive: true, force: true });
  }
  server.close();
  const bare: number[] = [];
  for (let time = 0; time < TIMES; time += 1) {
    const startedMs = performance.now();
    await once(spawn(process.execPath, ['-e', ''], { stdio: 'ignore' }), 'exit');
    bare.push(performance.now() - startedMs);
  }
  return { bareMs: median(bare), functions };
}

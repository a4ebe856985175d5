import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../core/log.ts';
import type { FunctionFailure } from '../../functions/lambda/failure.ts';
import { createRotationHandler } from '../../functions/lambda/handler.ts';
import { postgresStrategy } from '../../functions/postgres/strategy.ts';
import { freePort } from '../setup/postgres-servers.ts';

const KEY = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'what-the-function-elsewhere-signs-with',
};

export interface ServedFunction {
  /** Takes events as JSON. */
  readonly url: string;
  /** Where it looks for Secrets Manager. */
  readonly desksPort: number;
  /** What it signs with. */
  readonly keyFile: string;
  stop(): Promise<void>;
}

/**
 * Our own rotation function for PostgreSQL, in this process, as somebody's HTTP function: with AWS's SDK and a key of its own.
 * @param by where it finds the API that listens at this port
 */
export async function servedFunction(
  by: (port: number) => Promise<string> = async (port) => `http://127.0.0.1:${port}`,
): Promise<ServedFunction> {
  const desksPort = await freePort();
  const endpoint = await by(desksPort);
  const folder = await mkdtemp(join(tmpdir(), 'rotor-served-'));
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, JSON.stringify(KEY), { mode: 0o600 });
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey,
    // The saga repeats the step, and a worker that was killed answers nobody.
    AWS_MAX_ATTEMPTS: '1',
  });
  const env = { SECRETS_MANAGER_ENDPOINT: endpoint };
  const context = { awsRequestId: 'r', getRemainingTimeInMillis: () => 10_000 };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const handler = createRotationHandler('rotor-postgres', postgresStrategy, { env, log: silentLog });
      await handler(JSON.parse(Buffer.concat(chunks).toString('utf8')), context);
      response.writeHead(200).end('null');
    } catch (error) {
      const { name, message, kind } = error as FunctionFailure;
      response.writeHead(kind === 'terminal' ? 422 : 503);
      response.end(JSON.stringify({ errorType: name, errorMessage: message }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    desksPort,
    keyFile,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

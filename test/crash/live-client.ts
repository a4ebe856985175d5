import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import pg from 'pg';
import { WHOLE } from '../setup/matrix.ts';

/** A consumer that logs in anew for every query, so that a refused credential shows at once. */
export interface LiveClient {
  readonly url: string;
  queries: number;
  readonly refusals: string[];
  /** Healthy only with credentials that this accepts. */
  healthyWith: (versionId: string) => boolean;
  held(): Delivered;
  stop(): Promise<void>;
}

export interface Delivered {
  readonly host: string;
  readonly port: string;
  readonly dbname: string;
  readonly username: string;
  readonly password: string;
  readonly versionId: string;
}

/** Each login costs both sides thousands of hashes: with shorter pauses the machine would do little else. */
const PAUSE_MS = WHOLE ? 30 : 120;

export async function startLiveClient(file: string): Promise<LiveClient> {
  const read = async () => JSON.parse(await readFile(file, 'utf8')) as Delivered;
  let held = await read();
  let stopped = false;
  const client: LiveClient = {
    url: '',
    queries: 0,
    refusals: [],
    healthyWith: () => true,
    held: () => held,
    stop: async () => {
      stopped = true;
      await Promise.all(lanes);
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const inFlight = new Map<Delivered, number>();
  const lane = async () => {
    while (!stopped) {
      const used = held;
      inFlight.set(used, (inFlight.get(used) ?? 0) + 1);
      const { host, port, dbname, username, password } = used;
      const connection = new pg.Client({
        host,
        port: Number(port),
        database: dbname,
        user: username,
        password,
      });
      connection.on('error', () => undefined);
      try {
        await connection.connect();
        await connection.query('SELECT 1');
        client.queries += 1;
      } catch (error) {
        client.refusals.push(`${username}: ${(error as Error).message}`);
      } finally {
        await connection.end().catch(() => undefined);
        inFlight.set(used, (inFlight.get(used) ?? 1) - 1);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  const lanes = [lane(), lane()];
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      const before = held;
      held = await read();
      // As a decent application does: the reload is over when nothing uses the old credential any more.
      while ((inFlight.get(before) ?? 0) > 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const healthy = client.healthyWith(held.versionId);
    response
      .writeHead(request.method === 'POST' || healthy ? 200 : 503)
      .end(JSON.stringify({ version: held.versionId }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return Object.assign(client, {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
  });
}

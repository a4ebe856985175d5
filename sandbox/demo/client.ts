/**
 * An application as one finds it: reads the delivered credential from a file, queries all the time, takes a new
 * credential when told to reload, drains the old connections. Knows nothing of Rotor.
 *   node client.ts <name> <credential file>
 * Prints its port. POST /reload, GET /health, GET /stats; POST /break and /mend make it fail its health check with
 * any credential but the one it holds now, as an application with a bug in its reload would.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import pg from 'pg';

const [name = 'client', file = ''] = process.argv.slice(2);
const LANES = 3;

interface Generation {
  readonly pool: pg.Pool;
  readonly versionId: string;
  readonly user: string;
  inFlight: number;
}

const stats = { queries: 0, failures: 0, reloads: 0, lastFailure: '' };
let current = await open();
let brokenExcept: string | undefined;

async function open(): Promise<Generation> {
  const delivered = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
  const pool = new pg.Pool({
    host: delivered.host,
    port: Number(delivered.port),
    database: delivered.dbname,
    user: delivered.username,
    password: delivered.password,
    max: LANES,
    application_name: name,
  });
  pool.on('error', (error) => failed(error));
  await pool.query('SELECT 1');
  return { pool, versionId: delivered.versionId ?? '', user: delivered.username ?? '', inFlight: 0 };
}

function failed(error: Error): void {
  stats.failures += 1;
  stats.lastFailure = error.message;
}

async function reload(): Promise<void> {
  const next = await open();
  const old = current;
  current = next;
  stats.reloads += 1;
  while (old.inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await old.pool.end();
}

async function lane(number: number): Promise<never> {
  for (;;) {
    const used = current;
    used.inFlight += 1;
    try {
      await used.pool.query(
        'INSERT INTO shop.orders (client, amount) VALUES ($1, $2) RETURNING id, (SELECT count(*) FROM shop.products)',
        [name, number],
      );
      stats.queries += 1;
    } catch (error) {
      failed(error as Error);
    } finally {
      used.inFlight -= 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
}
for (let number = 0; number < LANES; number += 1) void lane(number);

const server = createServer((request, response) => {
  const answer = (status: number, body: object) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const handle = async () => {
    switch (`${request.method} ${request.url}`) {
      case 'POST /reload':
        await reload();
        return answer(200, { version: current.versionId });
      case 'GET /health': {
        const healthy = brokenExcept === undefined || brokenExcept === current.versionId;
        return answer(healthy ? 200 : 503, { version: current.versionId });
      }
      case 'GET /stats':
        return answer(200, { name, ...stats, user: current.user, version: current.versionId });
      case 'POST /break':
        brokenExcept = current.versionId;
        return answer(200, {});
      case 'POST /mend':
        brokenExcept = undefined;
        return answer(200, {});
      default:
        return answer(404, {});
    }
  };
  handle().catch((error: Error) => answer(500, { error: error.message }));
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
});
process.on('disconnect', () => process.exit(0));

/**
 * A consumer in a pod: takes its credential from the environment once, as most do, and logs in with it again and again.
 * What goes wrong is written down by pod.
 *   node pod-client.ts <folder for reports>
 */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

const folder = process.argv[2] ?? '';
const { POD = '', DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD, DB_VERSION = '' } = process.env;
let stopping = false;
process.on('SIGTERM', () => {
  stopping = true;
});
let queries = 0;
while (!stopping) {
  const connection = new pg.Client({
    host: DB_HOST,
    port: Number(DB_PORT),
    database: DB_NAME,
    user: DB_USER,
    password: DB_PASSWORD,
    application_name: POD,
  });
  connection.on('error', () => undefined);
  try {
    await connection.connect();
    await connection.query('SELECT 1');
    queries += 1;
    writeFileSync(join(folder, `${POD}.served`), `${DB_VERSION} ${queries}`);
    // Healthy once it has worked with the credential; `ill` breaks every version but the named one.
    if (!existsSync(join(folder, 'ill'))) writeFileSync(join(folder, `${POD}.ready`), '');
  } catch (error) {
    appendFileSync(join(folder, 'refusals'), `${POD} ${DB_USER}: ${(error as Error).message}\n`);
  } finally {
    await connection.end().catch(() => undefined);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
}

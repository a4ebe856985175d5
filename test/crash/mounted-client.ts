/**
 * A consumer in a pod that reads its credential from a mounted Secret, or from the file of its own in `MOUNTS`, for whose
 * coming it waits: when it starts, and when it is told to (POST /reload). It logs in with what it has read again and again,
 * and names the version at /version. What goes wrong is written down by pod.
 *   node mounted-client.ts <folder for reports>
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import pg from 'pg';

const folder = process.argv[2] ?? '';
const { POD = '', POD_UID = '', MOUNTS, ROTOR_SANDBOX_ROOT = '', ROTOR_SANDBOX_PORT_HTTP } = process.env;
const file = (key: string) => readFileSync(join(ROTOR_SANDBOX_ROOT, 'etc/db', key), 'utf8');
const readSecret = () => ({
  host: file('host'),
  port: Number(file('port')),
  database: file('name'),
  user: file('user'),
  password: file('password'),
  version: file('version'),
});
const read = (): ReturnType<typeof readSecret> =>
  MOUNTS ? JSON.parse(readFileSync(join(MOUNTS, POD_UID), 'utf8')) : readSecret();
while (MOUNTS && !existsSync(join(MOUNTS, POD_UID))) await new Promise((resolve) => setTimeout(resolve, 10));
let held = read();
createServer((request, response) => {
  if (request.url === '/reload') held = read();
  // `ill` breaks every reload, and every start: it never says that it has moved, or is ready.
  response.end(JSON.stringify({ version: existsSync(join(folder, 'ill')) ? 'unknown' : held.version }));
}).listen(Number(ROTOR_SANDBOX_PORT_HTTP), process.env.ROTOR_SANDBOX_ADDRESS);

let stopping = false;
process.on('SIGTERM', () => {
  stopping = true;
});
let queries = 0;
while (!stopping) {
  const { version, ...login } = held;
  const connection = new pg.Client({ ...login, application_name: POD });
  connection.on('error', () => undefined);
  try {
    await connection.connect();
    await connection.query('SELECT 1');
    queries += 1;
    writeFileSync(join(folder, `${POD}.served`), `${version} ${queries}`);
    if (!existsSync(join(folder, 'ill'))) writeFileSync(join(folder, `${POD}.ready`), '');
  } catch (error) {
    appendFileSync(join(folder, 'refusals'), `${POD} ${login.user}: ${(error as Error).message}\n`);
  } finally {
    await connection.end().catch(() => undefined);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
}
process.exit(0);

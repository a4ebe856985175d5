/**
 * A consumer in a pod: takes the version from its environment, or from the Secret that is mounted at `MOUNTED` when it
 * starts and when it is told to (POST /reload), or from the file of its own in `MOUNTS`, for whose coming it waits; and says
 * with which one it runs, in a file and over HTTP. While
 * `<REPORTS>/ill` exists it is unhealthy, and while `<REPORTS>/refuses` exists it takes no reload.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const {
  REPORTS = '',
  POD = '',
  VERSION = '',
  MOUNTED,
  MOUNTS,
  ROTOR_SANDBOX_ROOT = '',
  ROTOR_SANDBOX_PORT_HTTP,
} = process.env;
const file = MOUNTS ? join(MOUNTS, POD) : MOUNTED && join(ROTOR_SANDBOX_ROOT, MOUNTED, 'version');
const mounted = () => (file ? readFileSync(file, 'utf8') : VERSION);
while (MOUNTS && file && !existsSync(file)) await sleep(10);
let running = mounted();
const report = () => writeFileSync(join(REPORTS, POD), running);
report();
createServer((request, response) => {
  if (request.url === '/reload') {
    const refuses = existsSync(join(REPORTS, 'refuses')) || request.method !== 'POST';
    if (!refuses) {
      running = mounted();
      report();
    }
    response.writeHead(refuses ? 500 : 204).end();
    return;
  }
  response
    .writeHead(existsSync(join(REPORTS, 'ill')) ? 503 : 200)
    .end(JSON.stringify({ db: { running, mounted: mounted() } }));
}).listen(Number(ROTOR_SANDBOX_PORT_HTTP), process.env.ROTOR_SANDBOX_ADDRESS);

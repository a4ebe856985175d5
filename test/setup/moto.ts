import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './postgres-servers.ts';

const COMMAND = 'scripts/moto.sh';
const FOLDER = fileURLToPath(new URL('../../.cache/moto', import.meta.url));

/** The Python environment with moto, boto3 and the AWS CLI, or why there is none, ready to be put behind a suite's name. */
export const moto = findMoto();

function findMoto(): { readonly bin: string; readonly skipped: string } {
  const folder = process.env.ROTOR_TEST_MOTO || FOLDER;
  const bin = join(folder, 'bin');
  if (existsSync(join(bin, 'moto_server'))) return { bin, skipped: '' };
  return { bin: '', skipped: ` (no moto on this machine: ${COMMAND} installs it)` };
}

/** What AWS's clients need to speak to moto, which checks no identity. */
export function awsEnvironment(url: string): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    AWS_REGION: 'eu-central-1',
    AWS_DEFAULT_REGION: 'eu-central-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_PAGER: '',
    SECRETS_MANAGER_ENDPOINT: url,
  };
}

/** A moto server of one's own: AWS's APIs in memory. */
export async function startMoto(): Promise<{ url: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const child = spawn(join(moto.bin, 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`moto_server ended with ${child.exitCode}`);
    const answer = await fetch(`${url}/moto-api/data.json`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) break;
    await delay(100);
  }
  return {
    url,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './postgres-servers.ts';

const CACHE = fileURLToPath(new URL('../../.cache/moto', import.meta.url));

export interface FoundMoto {
  /** Folder of `python` (with boto3), `aws` and `moto_server`; '' where there is none. */
  readonly bin: string;
  /** Why there is none, ready to be put behind the name of a suite. */
  readonly skipped: string;
}

/** What scripts/moto.sh has made, or what ROTOR_TEST_MOTO names. */
export function findMoto(): FoundMoto {
  const made = existsSync(CACHE) ? readdirSync(CACHE).map((name) => join(CACHE, name, 'bin')) : [];
  const places = [process.env.ROTOR_TEST_MOTO ?? '', ...made];
  const bin = places.find((place) => place !== '' && existsSync(join(place, 'moto_server')));
  if (bin) return { bin, skipped: '' };
  return { bin: '', skipped: ' (no moto on this machine: run scripts/moto.sh once)' };
}

/** What is there, looked at once. */
export const moto = findMoto();

export interface Moto {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** Environment that an SDK needs to reach an emulator: any credentials do, and nobody asks a machine's metadata. */
export function awsEnvironment(url: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: url,
    SECRETS_MANAGER_ENDPOINT: url,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_PAGER: '',
    AWS_REGION: 'eu-central-1',
    AWS_DEFAULT_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'emulated',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/** Starts moto on a port of its own and waits until it answers. */
export async function startMoto(): Promise<Moto> {
  const { bin, skipped } = findMoto();
  if (!bin) throw new Error(`moto can't be started${skipped}`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(join(bin, 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-4_000);
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`moto ended with ${child.exitCode}:\n${output}`);
    const answered = await fetch(`${url}/moto-api/data.json`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) return { port, url, stop: () => stopped(child) };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

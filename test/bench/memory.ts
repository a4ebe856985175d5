import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKeyFile } from '../../core/seal-key-file.ts';

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));

/** (e) Resident memory of an orchestrator and of a worker process, idle. @returns MiB; undefined where /proc is missing */
export async function memoryOf(
  databaseUrl: string,
  folder: string,
): Promise<Readonly<Record<string, number | undefined>>> {
  const urlFile = join(folder, 'database-url');
  const keyFile = join(folder, 'key');
  await writeFile(urlFile, databaseUrl, { mode: 0o600 });
  await createKeyFile(keyFile);
  const env = {
    ...process.env,
    ROTOR_DATABASE_URL_FILE: urlFile,
    ROTOR_KEY_FILE: keyFile,
    ROTOR_HOME: folder,
    ROTOR_LISTEN: '127.0.0.1:0',
    ROTOR_LOG_LEVEL: 'error',
  };
  const memory: Record<string, number | undefined> = {};
  for (const command of ['orchestrator', 'worker']) {
    const child = spawn(process.execPath, [ROTOR, command], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /VmRSS:\s+(\d+) kB/.exec(status)?.[1];
    memory[command] = kilobytes === undefined ? undefined : Number(kilobytes) / 1_024;
    child.kill('SIGTERM');
    await exited;
  }
  return memory;
}

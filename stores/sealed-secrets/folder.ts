import { lstat, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Call } from '../../core/call.ts';
import { syncFolder, writeNewFile } from '../../core/durable-file.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import type { Place } from './places.ts';

/** A folder of this machine, such as a clone that others commit and push. Its files hold nothing but what is sealed. */
export class Folder implements Place {
  readonly name: string;

  constructor(path: string) {
    this.name = path;
  }

  read(_call: Call, file: string): Promise<string | undefined> {
    return this.#onDisk(file, async (path) => {
      const stats = await lstat(path).catch(absent);
      if (!stats) return undefined;
      if (stats.isFile()) return readFile(path, 'utf8');
      throw new RotorError('store.unsupported', { what: `sealed-secrets: ${path} is no plain file` });
    });
  }

  async replace(call: Call, file: string, before: string | undefined, text: string): Promise<boolean> {
    if ((await this.read(call, file)) !== before) return false;
    return this.#onDisk(file, async (path) => {
      await mkdir(dirname(path), { recursive: true });
      const temporary = `${path}.${call.random.uuid()}.tmp`;
      await writeNewFile(temporary, Buffer.from(text), { mode: 0o644 });
      try {
        call.deadline.assertTime(`replace ${path}`);
        await rename(temporary, path);
      } finally {
        await rm(temporary, { force: true });
      }
      await syncFolder(dirname(path));
      return true;
    });
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  async #onDisk<T>(file: string, work: (path: string) => Promise<T>): Promise<T> {
    const path = join(this.name, file);
    try {
      return await work(path);
    } catch (error) {
      if (error instanceof RotorError) throw error;
      const code = foreignCode(error);
      throw new RotorError(code === 'ENOSPC' ? 'store.full' : 'store.unavailable', {
        what: `sealed-secrets: ${path}: ${code ?? 'unknown error'}`,
        hint: 'Check that the folder is mounted, and writable for the worker.',
      });
    }
  }
}

function absent(error: unknown): undefined {
  if (foreignCode(error) === 'ENOENT') return undefined;
  throw error;
}

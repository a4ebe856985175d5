import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Why small disks can't be had here; undefined when they can. */
export const noSmallDisk =
  process.platform === 'linux' && process.getuid?.() === 0
    ? undefined
    : 'mounting a small disk needs Linux and root';

export interface SmallDisk {
  readonly folder: string;
  /** Writes until nothing fits any more. */
  fill(): Promise<void>;
  /** Removes what {@link fill} wrote. */
  free(): Promise<void>;
  unmount(): Promise<void>;
}

/** A disk of its own (tmpfs) that can be full for real. */
export async function smallDisk(size: string): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-disk-'));
  await exec('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0755`, 'tmpfs', folder]);
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill: async () => {
      const file = await open(ballast, 'a');
      try {
        for (;;) await file.write(Buffer.alloc(4_096));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        await file.close();
      }
    },
    free: () => rm(ballast, { force: true }),
    unmount: async () => {
      await exec('umount', ['--lazy', folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

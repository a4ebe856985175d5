import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Staged } from '../stages.ts';

/** `file` holds the sealed document. */
export interface IndexedVersion extends Staged {
  readonly file: string;
}

export type Versions = readonly IndexedVersion[];

/** What an index file says about one store path. Holds no secret. */
export interface Index {
  readonly path: string;
  /** 0 when nothing was written yet; the file's name carries the same number. */
  readonly generation: number;
  /** Highest fencing token that wrote here. */
  readonly fence: bigint;
  /** Oldest first. */
  readonly versions: Versions;
}

const FORMAT = 'rotor.store.local/1';

const indexSchema = z.object({
  format: z.literal(FORMAT),
  path: z.string(),
  generation: z.int(),
  fence: z.string().regex(/^\d+$/),
  versions: z.array(
    z.object({
      versionId: z.string(),
      file: z.string().regex(/^[A-Za-z0-9-]+\.[0-9a-f]+\.sealed$/),
      createdAt: z.string(),
      stages: z.array(z.enum(['pending', 'current', 'previous'])),
    }),
  ),
});

export function emptyIndex(path: string): Index {
  return { path, generation: 0, fence: 0n, versions: [] };
}

/** Two lines: the index as JSON, and the keyed hash of the first line. */
export function encodeIndex(index: Index, macKey: SecretValue): Buffer {
  const body = JSON.stringify({
    format: FORMAT,
    path: index.path,
    generation: index.generation,
    fence: String(index.fence),
    versions: index.versions,
  });
  return Buffer.from(`${body}\n${mac(body, macKey)}\n`);
}

/**
 * Reads an index back. The keyed hash notices damage, and anybody without the key file who would make an old
 * version current again.
 * @throws RotorError `store.sealed` when it isn't what {@link encodeIndex} wrote for this path and generation
 */
export function decodeIndex(
  content: string,
  where: { readonly file: string; readonly path: string; readonly generation: number },
  macKey: SecretValue,
): Index {
  const [body = '', hash = ''] = content.split('\n');
  if (!SecretValue.of(hash).equals(SecretValue.of(mac(body, macKey)))) {
    throw damaged(where.file, 'was changed, or written with another key file');
  }
  const index = indexSchema.parse(JSON.parse(body));
  if (index.path !== where.path || index.generation !== where.generation) {
    throw damaged(where.file, `belongs to ${index.path}, generation ${index.generation}`);
  }
  return { ...index, fence: BigInt(index.fence) };
}

function mac(body: string, macKey: SecretValue): string {
  return SecretValue.of(body).fingerprint(macKey).toString('hex');
}

function damaged(file: string, why: string): RotorError {
  return new RotorError('store.sealed', {
    what: `index ${file} ${why}`,
    hint: 'Restore the right ROTOR_KEY_FILE, or the folder of the store from a backup.',
  });
}

import type { Stats } from 'node:fs';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeNewFile } from './durable-file.ts';
import { foreignCode, RotorError } from './errors.ts';
import { KEY_BYTES, Keyring, newKey } from './seal-keyring.ts';

const FINGERPRINT = 'fingerprint:';
/** Far more than any number of keys needs; protects against a wrong path. */
const MAX_FILE_BYTES = 64 * 1024;
const HOW_TO_MAKE = 'Make one with `rotor key create FILE`; docs/stores.md shows what is in it.';

/**
 * Reads the key file (`ROTOR_KEY_FILE`): lines of base64, 32 bytes each. The first key seals, the others only
 * open; `fingerprint:` marks the key that stays across rotations; `#` starts a comment.
 * @throws RotorError `config.invalid` when it can't be read, is readable by others, or is malformed; never quotes it
 */
export async function loadKeyring(file: string): Promise<Keyring> {
  const bytes = await readKeyFile(file);
  try {
    return parseKeyFile(file, bytes.toString('latin1'));
  } finally {
    bytes.fill(0);
  }
}

/**
 * Makes a key file with one fresh key and a fresh fingerprint key, mode 0600, on disk when this returns.
 * @throws RotorError `config.invalid` when the file exists (keys are never overwritten) or can't be written
 */
export async function createKeyFile(file: string): Promise<void> {
  const [key, stable] = [newKey(), newKey()];
  const content = Buffer.from(
    [
      '# Rotor key file. Whoever has it can open every sealed secret; whoever loses it loses them all.',
      '# Keep a copy away from this machine. The first key seals, further ones only open.',
      key.toString('base64'),
      '# Keeps fingerprints comparable: never change this line.',
      `${FINGERPRINT}${stable.toString('base64')}`,
      '',
    ].join('\n'),
  );
  try {
    await writeNewFile(file, content, { mode: 0o600 });
    await syncFolder(dirname(file));
  } catch (error) {
    const code = foreignCode(error);
    throw new RotorError('config.invalid', {
      what: `key file ${file}: ${code === 'EEXIST' ? 'it exists already' : `cannot be created (${code})`}`,
      ...(code === 'EEXIST' ? { hint: 'Use it as it is. A key file is never overwritten.' } : {}),
      cause: error,
    });
  } finally {
    for (const buffer of [key, stable, content]) buffer.fill(0);
  }
}

/**
 * Adds a fresh key that only opens, as the last one. First step of replacing the key: every process must be able to open
 * what the new key seals before any process seals with it.
 * @returns ids of the keys, in the order of the file
 * @throws RotorError `config.invalid`
 */
export async function addKey(file: string): Promise<readonly string[]> {
  return changeKeys(file, (keys) => [...keys, newKey().toString('base64')]);
}

/**
 * Makes the last key the first, which seals from then on.
 * @returns ids of the keys, in the order of the file
 * @throws RotorError `config.invalid` also when the file has one key only
 */
export async function activateLastKey(file: string): Promise<readonly string[]> {
  return changeKeys(file, (keys) => {
    const last = keys.at(-1);
    if (keys.length < 2 || !last)
      throw new RotorError('config.invalid', {
        what: `key file ${file}: it has one key only`,
        hint: 'Add the new one first: rotor key add',
      });
    return [last, ...keys.slice(0, -1)];
  });
}

/** Replaces the key lines, leaves all others where they are relative to the first, in one rename. */
async function changeKeys(
  file: string,
  change: (keys: readonly string[]) => readonly string[],
): Promise<readonly string[]> {
  (await loadKeyring(file)).destroy();
  const [text, { mode, uid, gid }] = await Promise.all([readFile(file, 'latin1'), stat(file)]);
  const lines = text.trimEnd().split('\n');
  const isKey = (line: string) => parseKey(line.trim()) !== undefined;
  const first = lines.findIndex(isKey);
  const before = lines.slice(0, first);
  const after = lines.slice(first).filter((line) => !isKey(line));
  const content = [...before, ...change(lines.filter(isKey)), ...after, ''].join('\n');
  const temporary = `${file}.${process.pid}.tmp`;
  await writeNewFile(temporary, Buffer.from(content, 'latin1'), { mode: mode & 0o777, uid, gid });
  await rename(temporary, file);
  await syncFolder(dirname(file));
  const keyring = await loadKeyring(file);
  const { keyIds } = keyring;
  keyring.destroy();
  return keyIds;
}

async function readKeyFile(file: string): Promise<Buffer> {
  try {
    const handle = await open(file, 'r');
    try {
      // Asked of the opened file, not of its name: the name may point elsewhere a moment later.
      const stats = await handle.stat();
      assertPrivate(file, stats);
      if (stats.size > MAX_FILE_BYTES)
        throw invalid(file, `it has ${stats.size} bytes, which is no key file`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof RotorError) throw error;
    throw new RotorError('config.invalid', {
      what: `key file ${file} cannot be read (${foreignCode(error)})`,
      hint: 'Correct ROTOR_KEY_FILE, or let the user of this process read the file.',
      cause: error,
    });
  }
}

/**
 * PostgreSQL's rule for key files (libpq, "SSL File Usage"): 0600 when it is ours, 0640 when it belongs to root,
 * which is how Kubernetes mounts a Secret for a group.
 */
function assertPrivate(file: string, stats: Stats): void {
  const uid = process.getuid?.();
  if (uid === undefined) return;
  const allowed = stats.uid === 0 && uid !== 0 ? 0o640 : 0o600;
  if (!stats.isFile()) throw invalid(file, 'it is not a regular file');
  if ((stats.mode & 0o077 & ~allowed) !== 0) {
    throw new RotorError('config.invalid', {
      what: `key file ${file}: its mode is 0${(stats.mode & 0o777).toString(8)}, so others than its owner may read it`,
      hint: `chmod 0${allowed.toString(8)} ${file}. If anybody else may have read it, replace the key (docs/stores.md).`,
    });
  }
}

function parseKeyFile(file: string, text: string): Keyring {
  const keys: Buffer[] = [];
  let stable: Buffer | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const isStable = line.startsWith(FINGERPRINT);
    const key = parseKey(isStable ? line.slice(FINGERPRINT.length).trim() : line);
    if (!key) throw invalid(file, `line ${index + 1} is not the base64 form of ${KEY_BYTES} bytes`);
    if (isStable && stable) throw invalid(file, `line ${index + 1} is a second fingerprint key`);
    if (isStable) stable = key;
    else keys.push(key);
  }
  const [first, ...others] = keys;
  if (!first) throw invalid(file, 'it holds no key');
  // Deriving it from a key instead would silently make all fingerprints incomparable at the next key rotation.
  if (!stable) throw invalid(file, `it has no line "${FINGERPRINT}<base64 of ${KEY_BYTES} bytes>"`);
  return Keyring.of([first, ...others], stable);
}

function parseKey(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

function invalid(file: string, why: string): RotorError {
  return new RotorError('config.invalid', { what: `key file ${file}: ${why}`, hint: HOW_TO_MAKE });
}

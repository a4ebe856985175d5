import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { RotorError } from './errors.ts';
import { SecretValue } from './secret.ts';

/** Length of every key, in bytes. */
export const KEY_BYTES = 32;
/** A wrapped 32-byte key is 8 bytes longer (RFC 3394). */
export const WRAPPED_BYTES = KEY_BYTES + 8;

/** AES key wrap, RFC 3394, in OpenSSL's name. It needs no nonce, so a key-encryption key never runs out of them. */
const WRAP = 'id-aes256-wrap';
/** The default initial value of RFC 3394, section 2.2.3.1: unwrapping checks it, which is the integrity check. */
const WRAP_IV = Buffer.alloc(8, 0xa6);

/**
 * The key-encryption keys of this installation. The first one wraps, all of them unwrap. A separate key, kept
 * across rotations of the others, derives what must stay comparable for years (fingerprints).
 */
export class Keyring {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #stable: Buffer;
  /** Id of the key that new values are sealed with. */
  readonly activeKeyId: string;

  private constructor(keys: ReadonlyMap<string, Buffer>, activeKeyId: string, stable: Buffer) {
    this.#keys = keys;
    this.activeKeyId = activeKeyId;
    this.#stable = stable;
  }

  /** Takes over the buffers (32 bytes each): {@link Keyring.destroy} overwrites them. The first key is the active one. */
  static of(keys: readonly [Buffer, ...Buffer[]], stable: Buffer): Keyring {
    for (const key of [...keys, stable]) {
      if (key.length !== KEY_BYTES) {
        throw new RotorError('config.invalid', {
          what: `a key has ${key.length} bytes instead of ${KEY_BYTES}`,
        });
      }
    }
    const byId = new Map(keys.map((key) => [keyId(key), key]));
    return new Keyring(byId, keyId(keys[0]), stable);
  }

  /** A keyring with one fresh key that lives in memory only, for tests and trials. */
  static generate(): Keyring {
    return Keyring.of([newKey()], newKey());
  }

  /** Ids of all keys, the active one first. An id tells nothing about its key. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  /** Wraps a data key with the active key. */
  wrap(dataKey: Uint8Array): Buffer {
    const cipher = createCipheriv(WRAP, this.#key(this.activeKeyId), WRAP_IV);
    return Buffer.concat([cipher.update(dataKey), cipher.final()]);
  }

  /** @throws RotorError `store.sealed` when the key isn't in the key file, or the wrapped key was changed */
  unwrap(id: string, wrapped: Uint8Array): Buffer {
    const decipher = createDecipheriv(WRAP, this.#key(id), WRAP_IV);
    try {
      return Buffer.concat([decipher.update(wrapped), decipher.final()]);
    } catch {
      throw new RotorError('store.sealed', {
        what: `the data key of a sealed value was changed after it was wrapped with key ${id}`,
        hint: 'Restore this value from a backup, or rotate the credential: the sealed form is damaged.',
      });
    }
  }

  /**
   * A key for one purpose (32 bytes, HKDF-SHA-256), the same for as long as the key file keeps its
   * `fingerprint:` line, whatever happens to the key-encryption keys.
   */
  derive(purpose: string): SecretValue {
    const bytes = Buffer.from(hkdfSync('sha256', this.#stable, '', `rotor/${purpose}/v1`, KEY_BYTES));
    const derived = SecretValue.of(bytes);
    bytes.fill(0);
    return derived;
  }

  /** Overwrites every key; the keyring can't be used afterwards. */
  destroy(): void {
    for (const key of this.#keys.values()) key.fill(0);
    this.#stable.fill(0);
  }

  #key(id: string): Buffer {
    const key = this.#keys.get(id);
    if (!key) {
      throw new RotorError('store.sealed', {
        what: `a value is sealed with key ${id}, and the key file has only ${this.keyIds.join(', ')}`,
      });
    }
    return key;
  }
}

/** Keys come from the operating system's generator only, never from the injected `Random`, which may be seeded. */
export function newKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** A hash names a key without telling anything about it: the key has 256 random bits. */
function keyId(key: Buffer): string {
  return createHash('sha256').update('rotor/key-id/v1').update(key).digest('hex').slice(0, 16);
}

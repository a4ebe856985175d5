import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { RotorError } from './errors.ts';
import { type Keyring, newKey, WRAPPED_BYTES } from './seal-keyring.ts';
import { SecretValue } from './secret.ts';

const FORMAT = 'rotor1';
const CIPHER = 'aes-256-gcm';
/** NIST SP 800-38D recommends 96 bits. Each data key encrypts once, so a random nonce can't repeat under it. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts `plaintext` (UTF-8 text; encode bytes as base64 first) under a data key of its own, which the keyring's active key wraps.
 * @param context what the value is for (purpose, path or policy, version id): opening needs the same words in the
 *   same order, so a sealed value that is moved or exchanged doesn't open
 * @returns `rotor1.<key id>.<wrapped data key>.<nonce>.<ciphertext and tag>`, base64url: fits JSON, a column, a line
 * @throws RotorError `internal.bug` when the value isn't text
 */
export function seal(keyring: Keyring, plaintext: SecretValue, context: readonly string[]): string {
  const dataKey = newKey();
  const clear = Buffer.from(plaintext.reveal());
  try {
    // `reveal` is UTF-8: bytes that aren't text would come back as others, unnoticed until they are needed.
    if (!SecretValue.of(clear).equals(plaintext)) {
      throw new RotorError('internal.bug', {
        what: `sealing ${context.join(' ')}: the value is not UTF-8 text`,
      });
    }
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, dataKey, nonce).setAAD(bind(context));
    const body = Buffer.concat([cipher.update(clear), cipher.final(), cipher.getAuthTag()]);
    return encode({ keyId: keyring.activeKeyId, wrapped: keyring.wrap(dataKey), nonce, body });
  } finally {
    dataKey.fill(0);
    clear.fill(0);
  }
}

/**
 * Decrypts what {@link seal} made.
 * @throws RotorError `store.sealed` when the key isn't in the key file, the context is another, or a bit was changed
 */
export function open(keyring: Keyring, sealed: string, context: readonly string[]): SecretValue {
  const { keyId, wrapped, nonce, body } = decode(sealed);
  const dataKey = keyring.unwrap(keyId, wrapped);
  let clear: Buffer | undefined;
  try {
    const decipher = createDecipheriv(CIPHER, dataKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(bind(context)).setAuthTag(body.subarray(-TAG_BYTES));
    clear = Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
    return SecretValue.of(clear);
  } catch {
    throw damaged(`the value sealed for ${context.join(' ')} was changed, or was sealed for something else`);
  } finally {
    dataKey.fill(0);
    clear?.fill(0);
  }
}

/**
 * Wraps the data key of a sealed value with the active key; the ciphertext stays as it is. Unchanged when the
 * active key wraps it already. Needs no context and sees no plaintext.
 * @throws RotorError `store.sealed` when its key isn't in the key file
 */
export function rewrap(keyring: Keyring, sealed: string): string {
  const parts = decode(sealed);
  if (parts.keyId === keyring.activeKeyId) return sealed;
  const dataKey = keyring.unwrap(parts.keyId, parts.wrapped);
  try {
    return encode({ ...parts, keyId: keyring.activeKeyId, wrapped: keyring.wrap(dataKey) });
  } finally {
    dataKey.fill(0);
  }
}

interface Sealed {
  readonly keyId: string;
  readonly wrapped: Buffer;
  readonly nonce: Buffer;
  /** Ciphertext, then the authentication tag. */
  readonly body: Buffer;
}

function encode({ keyId, wrapped, nonce, body }: Sealed): string {
  return [FORMAT, keyId, ...[wrapped, nonce, body].map((part) => part.toString('base64url'))].join('.');
}

function decode(sealed: string): Sealed {
  const match = /^rotor1\.([0-9a-f]{16})\.([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(sealed);
  if (!match) throw damaged('a sealed value is malformed');
  const [wrapped, nonce, body] = match.slice(2).map((part) => Buffer.from(part, 'base64url')) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const fits = wrapped.length === WRAPPED_BYTES && nonce.length === NONCE_BYTES && body.length >= TAG_BYTES;
  if (!fits) throw damaged('a sealed value is malformed');
  return { keyId: match[1] as string, wrapped, nonce, body };
}

/** JSON keeps the borders between the words: `["a","bc"]` and `["ab","c"]` differ. */
function bind(context: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify([FORMAT, ...context]));
}

function damaged(what: string): RotorError {
  return new RotorError('store.sealed', {
    what,
    hint: 'Restore it from a backup, or rotate the credential: somebody or something changed the sealed form.',
  });
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const REDACTED = '[secret]';

/**
 * The only holder of plaintext in Rotor. Printing, serialising or inspecting it shows `[secret]`;
 * the plaintext leaves through {@link SecretValue.reveal} alone, so that a search for `.reveal(`
 * lists every place that sees one.
 */
export class SecretValue {
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Copies `value` (text is UTF-8), so that the caller may overwrite its own buffer. */
  static of(value: string | Uint8Array): SecretValue {
    return new SecretValue(Buffer.from(value as string));
  }

  /** The plaintext as text. Keep the result in the narrowest scope there is, and never in an error. */
  reveal(): string {
    return this.#bytes.toString('utf8');
  }

  /** Length in bytes. */
  get size(): number {
    return this.#bytes.length;
  }

  /** Compares in constant time; only the length can be told from outside. */
  equals(other: SecretValue): boolean {
    return this.#bytes.length === other.#bytes.length && timingSafeEqual(this.#bytes, other.#bytes);
  }

  /**
   * Keyed fingerprint (HMAC-SHA-256, 32 bytes): tells whether two secrets are equal without storing
   * either, and can't be searched with guesses by somebody who has the fingerprints but not the key.
   */
  fingerprint(key: SecretValue): Buffer {
    return createHmac('sha256', key.#bytes).update(this.#bytes).digest();
  }

  /** Overwrites the bytes held here. Strings made by `reveal()` are beyond reach: Node can't erase them. */
  destroy(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

import { constants, createCipheriv, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto';
import type { SecretValue } from '../../core/secret.ts';

export type Scope = 'strict' | 'namespace-wide' | 'cluster-wide';

/** What binds a sealed value to the Secret that it is for. */
export function labelOf(scope: Scope, namespace: string, name: string): string {
  if (scope === 'cluster-wide') return '';
  return scope === 'namespace-wide' ? namespace : `${namespace}/${name}`;
}

/**
 * Seals one value of a Secret for the controller's key. The form is that of `HybridEncrypt` in pkg/crypto/crypto.go of
 * bitnami/sealed-secrets: two bytes with the length of the RSA ciphertext, RSA-OAEP (SHA-256, the label) of a fresh
 * AES-256 key, then AES-GCM under that key with a nonce of zeros (the key is used once) and its tag.
 * @returns base64, as `spec.encryptedData` has it
 */
export function sealValue(publicKey: KeyObject, value: SecretValue, label: string): string {
  const sessionKey = randomBytes(32);
  const clear = Buffer.from(value.reveal());
  try {
    const wrapped = publicEncrypt(
      {
        key: publicKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
        ...(label === '' ? {} : { oaepLabel: Buffer.from(label) }),
      },
      sessionKey,
    );
    const cipher = createCipheriv('aes-256-gcm', sessionKey, Buffer.alloc(12));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(wrapped.length);
    const sealed = [length, wrapped, cipher.update(clear), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(sealed).toString('base64');
  } finally {
    sessionKey.fill(0);
    clear.fill(0);
  }
}

import type { SecretValue } from '../../../core/secret.ts';

/**
 * A sealed box of libsodium (X25519, XSalsa20-Poly1305), in base64: only who has the private key opens it. The library comes
 * with the first secret that is sealed.
 * @param publicKey 32 bytes in base64, as GitHub hands it out
 * @throws TypeError when that is no key
 */
export async function sealed(publicKey: string, value: SecretValue): Promise<string> {
  const { default: sodium } = await import('libsodium-wrappers');
  await sodium.ready;
  const key = Buffer.from(publicKey, 'base64');
  const plain = Buffer.from(value.reveal());
  try {
    return Buffer.from(sodium.crypto_box_seal(plain, key)).toString('base64');
  } finally {
    plain.fill(0);
  }
}

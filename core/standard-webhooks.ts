import { SecretValue } from './secret.ts';

/** The key of a Standard Webhooks secret: `whsec_` and base64, as the specification writes it; else as it is. */
export function standardKey(secret: SecretValue): SecretValue {
  const text = secret.reveal();
  return text.startsWith('whsec_') ? SecretValue.of(Buffer.from(text.slice(6), 'base64')) : secret;
}

/**
 * Headers of a signed message (standardwebhooks.com): `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`.
 * @param timestamp in seconds since 1970
 */
export function standardSignature(
  id: string,
  timestamp: number,
  body: SecretValue,
  secret: SecretValue,
): Readonly<Record<string, string>> {
  const message = SecretValue.of(`${id}.${timestamp}.${body.reveal()}`);
  const signature = message.fingerprint(standardKey(secret)).toString('base64');
  message.destroy();
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  };
}

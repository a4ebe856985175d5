import { type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Call } from '../../core/call.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { httpRequest } from '../../core/http.ts';
import type { SealedSecretsSpec } from './spec.ts';

/** What values are sealed for. */
export interface Certificate {
  readonly key: KeyObject;
  /** SHA-256 of the certificate, hexadecimal. */
  readonly fingerprint: string;
  /** ISO 8601. */
  readonly validFrom: string;
}

/**
 * The controller's newest certificate, read anew: the controller makes another every 30 days, unless told otherwise.
 * @throws RotorError `reference.unresolved`, `store.unavailable`, `store.unsupported`
 */
export async function certificateOf(
  call: Call,
  { file, url }: SealedSecretsSpec['certificate'],
): Promise<Certificate> {
  const where = file ?? url ?? '';
  return parse(
    file === undefined ? await fetched(call, where) : await fromFile(where),
    where,
    call.clock.now(),
  );
}

async function fromFile(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `certificate of the sealedSecrets store: ${file} can't be read (${foreignCode(error) ?? 'unknown error'})`,
    });
  });
}

async function fetched(call: Call, url: string): Promise<string> {
  const answer = await httpRequest(call.deadline, { url });
  if (answer.status === 200) return answer.body;
  throw new RotorError('store.unavailable', {
    what: `sealed-secrets: GET ${url} answers ${answer.status} instead of the controller's certificate`,
    hint: "Name the controller's service and /v1/cert.pem in `certificate.url`.",
    ...(answer.status >= 500 || answer.status === 429 ? {} : { kind: 'terminal' as const }),
  });
}

function parse(pem: string, where: string, now: Date): Certificate {
  let certificate: X509Certificate;
  try {
    // Like kubeseal: of several the first.
    certificate = new X509Certificate(pem);
  } catch {
    throw new RotorError('store.unsupported', {
      what: `sealed-secrets: what is at ${where} is no certificate in PEM`,
      hint: '`kubeseal --fetch-cert` writes the right one.',
    });
  }
  const { publicKey, validTo, validFrom, fingerprint256 } = certificate;
  if (publicKey.asymmetricKeyType !== 'rsa') {
    throw new RotorError('store.unsupported', {
      what: `sealed-secrets: the certificate at ${where} has no RSA key`,
    });
  }
  if (new Date(validTo) <= now) {
    throw new RotorError('store.unsupported', {
      what: `sealed-secrets: the certificate at ${where} has ended on ${new Date(validTo).toISOString()}`,
      hint: 'Fetch the newest one (`kubeseal --fetch-cert`), or name `certificate.url` instead of a file.',
    });
  }
  return {
    key: publicKey,
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
    validFrom: new Date(validFrom).toISOString(),
  };
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Credential, type CredentialFormat, decodeCredential } from '../../core/credential.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { RotationSpec } from './spec.ts';

/** The credential that consumers have before any rotation, and the document that a store is to keep of it. */
export interface Initial {
  readonly credential: Credential;
  readonly document: SecretValue;
}

/**
 * The credential that `initialFrom` points to, for a policy whose store is still empty. Its version has the same id whoever
 * reads it: it is found, contained and adopted by different workers.
 * @param fingerprint the keyed one, hexadecimal
 * @returns undefined when the policy names none
 * @throws RotorError `reference.unresolved`, `credential.malformed`
 */
export async function initialCredential(
  { initialFrom }: Pick<RotationSpec, 'initialFrom'>,
  policyUid: string,
  format: CredentialFormat,
  fingerprint: (credential: Credential) => string,
): Promise<Initial | undefined> {
  const file = initialFrom?.file;
  if (file === undefined) return undefined;
  const bytes = await readFile(file).catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `initialFrom: ${file} can't be read (${foreignCode(error)})`,
    });
  });
  const document = SecretValue.of(bytes);
  bytes.fill(0);
  const read = decodeCredential('of initialFrom', document, format);
  const fields = JSON.stringify(Object.entries(read.fields).sort());
  return { credential: { ...read, versionId: idOf([policyUid, fingerprint(read), fields]) }, document };
}

/** A UUID made of what it stands for (version 8 of RFC 9562). */
function idOf(parts: readonly string[]): string {
  const bytes = createHash('sha256').update(parts.join('\n')).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

import { readFile } from 'node:fs/promises';
import { type Credential, type CredentialFormat, decodeCredential } from '../../core/credential.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { hashUuid } from '../../core/hash-uuid.ts';
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
  return {
    credential: { ...read, versionId: hashUuid([policyUid, fingerprint(read), fields].join('\n')) },
    document,
  };
}

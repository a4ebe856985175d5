import { RotorError } from './errors.ts';
import { SecretValue } from './secret.ts';

/** Which fields of a credential's document name it and which are secret. Declared by each rotator as data. */
export interface CredentialFormat {
  /** Field that names the credential at its provider (`username`, `accessKeyId`); absent when nothing does. */
  readonly identity?: string;
  /** Secret fields, the one that is fingerprinted first. */
  readonly secrets: readonly [string, ...string[]];
}

/**
 * One version of a credential: public fields (user name, host) and secret ones (password). Stores keep
 * it as one flat JSON document, the way AWS's own secrets look (`{"username","password","host",...}`).
 */
export interface Credential {
  /** Ledger id of the version, a UUID; also the idempotency token at stores (AWS: ClientRequestToken). */
  readonly versionId: string;
  /** Public name at the provider, for instance the role; empty when the format has none. */
  readonly identity: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, SecretValue>>;
}

/** The document that stores keep: flat JSON of public and secret fields, sorted by name. */
export function encodeCredential(credential: Credential): SecretValue {
  const flat: Record<string, string> = { ...credential.fields };
  for (const [name, value] of Object.entries(credential.secrets)) flat[name] = value.reveal();
  return SecretValue.of(JSON.stringify(flat, Object.keys(flat).sort()));
}

/**
 * Reads a stored document back. Numbers and booleans become text (AWS documents hold `"port": 5432`).
 * @throws RotorError `credential.malformed` when it isn't a flat JSON object or lacks a field of `format`.
 */
export function decodeCredential(
  versionId: string,
  document: SecretValue,
  format: CredentialFormat,
): Credential {
  const flat = parseFlat(versionId, document);
  const fields: Record<string, string> = {};
  const secrets: Record<string, SecretValue> = {};
  for (const [name, value] of Object.entries(flat)) {
    if (format.secrets.includes(name)) secrets[name] = SecretValue.of(value);
    else fields[name] = value;
  }
  for (const name of format.secrets)
    if (!secrets[name]) throw malformed(versionId, `it has no field "${name}"`);
  const identity = format.identity === undefined ? '' : fields[format.identity];
  if (identity === undefined) throw malformed(versionId, `it has no field "${format.identity}"`);
  return { versionId, identity, fields, secrets };
}

/** The secret that identifies a leak of this credential: the first one of the format. */
export function primarySecret(credential: Credential, format: CredentialFormat): SecretValue {
  const secret = credential.secrets[format.secrets[0]];
  if (!secret) throw malformed(credential.versionId, `it has no field "${format.secrets[0]}"`);
  return secret;
}

function parseFlat(versionId: string, document: SecretValue): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(document.reveal());
  } catch {
    // The parser's message would quote the document, so it goes no further.
    throw malformed(versionId, 'it is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw malformed(versionId, 'it is not a JSON object');
  }
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) {
      throw malformed(versionId, `field "${name}" is neither text, number nor boolean`);
    }
    flat[name] = String(value);
  }
  return flat;
}

function malformed(versionId: string, why: string): RotorError {
  return new RotorError('credential.malformed', { what: `credential version ${versionId}: ${why}` });
}

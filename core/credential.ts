import { RotorError } from './errors.ts';
import { jsonIn } from './json.ts';
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
  /** Fields that the stored document held as something else than text; they are written back as that. */
  readonly types?: Readonly<Record<string, 'number' | 'boolean'>>;
}

/** The document that stores keep: flat JSON of public and secret fields, sorted by name. */
export function encodeCredential(credential: Credential): SecretValue {
  const flat: Record<string, string | number | boolean> = { ...credential.fields };
  for (const [name, type] of Object.entries(credential.types ?? {}))
    if (name in flat) flat[name] = typed(flat[name], type);
  for (const [name, value] of Object.entries(credential.secrets)) flat[name] = value.reveal();
  return SecretValue.of(JSON.stringify(flat, Object.keys(flat).sort()));
}

/** Text as the type it had before, where it still reads as one: a `port` that became a list of ports stays text. */
function typed(value: unknown, type: 'number' | 'boolean'): string | number | boolean {
  const text = String(value);
  if (type === 'boolean') return text === 'true' || text === 'false' ? text === 'true' : text;
  return String(Number(text)) === text && Number.isFinite(Number(text)) ? Number(text) : text;
}

/**
 * The new version of a credential with the fields of the old one that its rotator doesn't know (`masterarn`, `ssl`, what
 * an application keeps beside them), so that consumers find the document as they know it.
 * @throws RotorError `credential.malformed` when such a field holds the old secret, and so would be wrong from now on
 */
export function inheriting(fresh: Credential, old: Credential | undefined): Credential {
  if (!old) return fresh;
  const foreign = Object.entries(old.fields).filter(
    ([name]) => !(name in fresh.fields) && !(name in fresh.secrets),
  );
  const secrets = Object.values(old.secrets).map((secret) => secret.reveal());
  for (const [name, value] of foreign) {
    if (!secrets.some((secret) => secret !== '' && holds(value, secret))) continue;
    throw new RotorError('credential.malformed', {
      what: `credential version ${old.versionId}: field "${name}" repeats a secret, and no rotator renews it`,
      hint: `Remove the field from the stored document and let consumers (or a template of the delivery) put it together.`,
    });
  }
  const kept = Object.entries(old.types ?? {}).filter(([name]) => !(name in fresh.secrets));
  return {
    ...fresh,
    fields: { ...Object.fromEntries(foreign), ...fresh.fields },
    ...(kept.length > 0 ? { types: Object.fromEntries(kept) } : {}),
  };
}

/** A short secret may stand in other words by chance. */
function holds(value: string, secret: string): boolean {
  if (secret.length < 8) return value === secret;
  return value.includes(secret) || value.includes(encodeURIComponent(secret));
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
  const { flat, types } = parseFlat(versionId, document);
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
  return { versionId, identity, fields, secrets, ...(Object.keys(types).length > 0 ? { types } : {}) };
}

/** The secret that identifies a leak of this credential: the first one of the format. */
export function primarySecret(credential: Credential, format: CredentialFormat): SecretValue {
  const secret = credential.secrets[format.secrets[0]];
  if (!secret) throw malformed(credential.versionId, `it has no field "${format.secrets[0]}"`);
  return secret;
}

function parseFlat(
  versionId: string,
  document: SecretValue,
): { readonly flat: Record<string, string>; readonly types: Record<string, 'number' | 'boolean'> } {
  const parsed = jsonIn(document.reveal());
  if (parsed === undefined) throw malformed(versionId, 'it is not JSON');
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw malformed(versionId, 'it is not a JSON object');
  }
  const flat: Record<string, string> = {};
  const types: Record<string, 'number' | 'boolean'> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value === 'number' || typeof value === 'boolean')
      types[name] = typeof value as 'number' | 'boolean';
    else if (typeof value !== 'string')
      throw malformed(versionId, `field "${name}" is neither text, number nor boolean`);
    flat[name] = String(value);
  }
  return { flat, types };
}

function malformed(versionId: string, why: string): RotorError {
  return new RotorError('credential.malformed', { what: `credential version ${versionId}: ${why}` });
}

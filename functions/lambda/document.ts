import { RotorError } from '../../core/errors.ts';
import { jsonObjectIn } from '../../core/json.ts';
import type { SecretValue } from '../../core/secret.ts';

/** A secret's JSON as it was written: whatever else is in it goes into the next version unchanged. */
export type SecretDocument = Readonly<Record<string, unknown>>;

/** @throws RotorError `credential.malformed`; the parser's message would quote the document, so it goes no further */
export function parseDocument(value: SecretValue, ofWhat: string): SecretDocument {
  const parsed = jsonObject(value);
  if (parsed) return parsed;
  throw new RotorError('credential.malformed', { what: `${ofWhat} is not a JSON object` });
}

/** The object that the text holds, or undefined. */
export function jsonObject(value: SecretValue): SecretDocument | undefined {
  return jsonObjectIn(value.reveal()) as SecretDocument | undefined;
}

import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { SecretValue } from '../../../core/secret.ts';
import { fillTemplate, unknownField, valuesOf } from '../template.ts';
import type { FileSpec } from './spec.ts';

/** Characters that every reader of env files (shells, systemd, docker, dotenv) takes literally without quotes. */
const BARE = /^[\w.,:/@%+=-]*$/;

/**
 * The content of the file, as a whole. The same credential always renders to the same bytes.
 * @throws RotorError `manifest.invalid` when a named field is missing, or a value doesn't fit the format
 */
export function render(spec: Omit<FileSpec, 'path' | 'mode'>, credential: Credential): SecretValue {
  const values = valuesOf(credential);
  switch (spec.format) {
    case 'json':
      return SecretValue.of(`${JSON.stringify(Object.fromEntries(values), undefined, 2)}\n`);
    case 'env':
      return SecretValue.of(envFile(values));
    case 'raw': {
      const value = values.get(spec.field ?? '');
      if (value === undefined) throw unknownField(spec.field ?? '', values);
      return SecretValue.of(value);
    }
    case 'template':
      return SecretValue.of(fillTemplate(spec.template ?? '', values));
  }
}

function envFile(values: ReadonlyMap<string, string>): string {
  const lines = new Map<string, string>();
  for (const [field, value] of values) {
    const name = envName(field);
    if (lines.has(name)) throw unfit(`two fields are both called ${name}`);
    lines.set(name, `${name}=${envValue(field, value)}\n`);
  }
  return [...lines.values()].join('');
}

/** `accessKeyId` becomes `ACCESS_KEY_ID`. */
function envName(field: string): string {
  const snake = field
    .replace(/([a-z\d])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z\d]+/g, '_')
    .toUpperCase();
  return /^\d/.test(snake) ? `_${snake}` : snake;
}

function envValue(field: string, value: string): string {
  if (BARE.test(value)) return value;
  // Shells, systemd and dotenv agree on text in single quotes, and disagree on every way to escape one inside.
  if (/['\n\r\0]/.test(value)) throw unfit(`field "${field}" holds a quote or a line break`);
  return `'${value}'`;
}

function unfit(why: string): RotorError {
  return new RotorError('manifest.invalid', {
    what: `the credential doesn't fit format "env": ${why}`,
    hint: 'Use format "json", "raw" or "template".',
  });
}

import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';

/** How a value is written into the text around it. */
export const FILTERS = {
  url: (value: string) =>
    encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  /** A single-quoted word of a POSIX shell. */
  shell: (value: string) => `'${value.replaceAll("'", "'\\''")}'`,
  /** A JSON string with its quotes. */
  json: (value: string) => JSON.stringify(value),
} as const;

type Filter = keyof typeof FILTERS;

export type TemplatePart = string | { readonly field: string; readonly filters: readonly Filter[] };

/**
 * Splits `postgres://{{username|url}}:{{password|url}}@{{host}}/` into text and fields.
 * @returns the parts, or the problem in words
 */
export function parseTemplate(template: string): readonly TemplatePart[] | { readonly problem: string } {
  const parts: TemplatePart[] = [];
  let at = 0;
  for (const match of template.matchAll(/\{\{(.*?)\}\}/gs)) {
    parts.push(template.slice(at, match.index));
    at = match.index + match[0].length;
    const [field = '', ...filters] = (match[1] as string).split('|').map((word) => word.trim());
    if (!/^[\w.-]+$/.test(field)) return { problem: `"${match[0]}" names no field` };
    const unknown = filters.find((filter) => !Object.hasOwn(FILTERS, filter));
    if (unknown !== undefined) {
      return { problem: `unknown filter "${unknown}"; there are ${Object.keys(FILTERS).join(', ')}` };
    }
    parts.push({ field, filters: filters as Filter[] });
  }
  parts.push(template.slice(at));
  // JSON may well end in "}}", but begins nothing with "{{".
  const torn = parts.some((part) => typeof part === 'string' && part.includes('{{'));
  if (torn) return { problem: 'a "{{" has no "}}"' };
  return parts;
}

/** @throws RotorError `manifest.invalid` when the template names a field that the credential doesn't have */
export function fillTemplate(template: string, values: ReadonlyMap<string, string>): string {
  const parts = parseTemplate(template);
  if ('problem' in parts) throw new RotorError('manifest.invalid', { what: `template: ${parts.problem}` });
  return parts
    .map((part) => {
      if (typeof part === 'string') return part;
      const value = values.get(part.field);
      if (value === undefined) throw unknownField(part.field, values);
      return part.filters.reduce((text, filter) => FILTERS[filter](text), value);
    })
    .join('');
}

/** Names the fields there are, never their values. */
export function unknownField(field: string, values: ReadonlyMap<string, string>): RotorError {
  return new RotorError('manifest.invalid', {
    what: `the credential has no field "${field}"; it has ${[...values.keys()].sort().join(', ')}`,
  });
}

/** Every field by name, sorted, and `versionId`, by which a consumer reports what it runs with. */
export function valuesOf(credential: Credential): ReadonlyMap<string, string> {
  const all: Record<string, string> = { ...credential.fields, versionId: credential.versionId };
  for (const [name, secret] of Object.entries(credential.secrets)) all[name] = secret.reveal();
  return new Map(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}

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
  /** Of its bytes in UTF-8, as `auth` of a Docker configuration: `{{username + ":" + password | base64}}`. */
  base64: (value: string) => Buffer.from(value).toString('base64'),
} as const;

type Filter = keyof typeof FILTERS;

/** A field of the credential, or text between two of them. */
type Term = { readonly field: string } | { readonly text: string };

export type TemplatePart = string | { readonly terms: readonly Term[]; readonly filters: readonly Filter[] };

const TERM = String.raw`"[^"]*"|[\w.-]+`;
const JOINED = new RegExp(String.raw`^\s*((?:${TERM})(?:\s*\+\s*(?:${TERM}))*)\s*((?:\|[^|]*)*)$`);

/**
 * Splits `postgres://{{username|url}}:{{password|url}}@{{host}}/` into text and fields. Fields and texts in double quotes are
 * joined by `+` before they are filtered.
 * @returns the parts, or the problem in words
 */
export function parseTemplate(template: string): readonly TemplatePart[] | { readonly problem: string } {
  const parts: TemplatePart[] = [];
  let at = 0;
  for (const match of template.matchAll(/\{\{(.*?)\}\}/gs)) {
    parts.push(template.slice(at, match.index));
    at = match.index + match[0].length;
    const [, joined, filtered = ''] = JOINED.exec(match[1] as string) ?? [];
    const terms = [...(joined ?? '').matchAll(new RegExp(TERM, 'g'))].map(([term]) =>
      term.startsWith('"') ? { text: term.slice(1, -1) } : { field: term },
    );
    if (!terms.some((term) => 'field' in term)) return { problem: `"${match[0]}" names no field` };
    const filters = filtered
      .split('|')
      .slice(1)
      .map((filter) => filter.trim());
    const unknown = filters.find((filter) => !Object.hasOwn(FILTERS, filter));
    if (unknown !== undefined) {
      return { problem: `unknown filter "${unknown}"; there are ${Object.keys(FILTERS).join(', ')}` };
    }
    parts.push({ terms, filters: filters as Filter[] });
  }
  parts.push(template.slice(at));
  // JSON may well end in "}}", but begins nothing with "{{".
  const torn = parts.some((part) => typeof part === 'string' && part.includes('{{'));
  if (torn) return { problem: 'a "{{" has no "}}"' };
  return parts;
}

/** The fields that a template names; none in one that is only text, or no template at all. */
export function fieldsIn(template: string): readonly string[] {
  const parts = parseTemplate(template);
  if ('problem' in parts) return [];
  return parts.flatMap((part) =>
    typeof part === 'string' ? [] : part.terms.flatMap((term) => ('field' in term ? [term.field] : [])),
  );
}

/** @throws RotorError `manifest.invalid` when the template names a field that the credential doesn't have */
export function fillTemplate(template: string, values: ReadonlyMap<string, string>): string {
  const parts = parseTemplate(template);
  if ('problem' in parts) throw new RotorError('manifest.invalid', { what: `template: ${parts.problem}` });
  return parts
    .map((part) => {
      if (typeof part === 'string') return part;
      const joined = part.terms.map((term) => {
        if ('text' in term) return term.text;
        const value = values.get(term.field);
        if (value === undefined) throw unknownField(term.field, values);
        return value;
      });
      return part.filters.reduce((text, filter) => FILTERS[filter](text), joined.join(''));
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

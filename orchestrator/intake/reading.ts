import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { SecretValue } from '../../core/secret.ts';
import { malformed } from './proof.ts';
import type { Severity } from './report.ts';
import { SEVERITIES } from './report.ts';

/** The body as JSON of the given form. What doesn't fit is named by field, never quoted. @throws RotorError `hook.malformed` */
export function readJson<T>(body: Buffer, schema: z.ZodType<T>): T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw malformed('the body is not JSON');
  }
  const read = schema.safeParse(parsed);
  if (read.success) return read.data;
  const fields = read.error.issues.map(({ path }) => path.join('.') || '(the body)');
  throw malformed(`missing or not valid: ${[...new Set(fields)].slice(0, 5).join(', ')}`);
}

/**
 * A name out of a payload: an id, a rule, a type. Anything but a short line of plain characters becomes `fallback`, since
 * it may be text that somebody else wrote, a secret in it included.
 */
export function word(text: unknown, fallback = 'unnamed'): string {
  return typeof text === 'string' && /^[\w][\w .:/@+#()-]{0,199}$/.test(text) ? text : fallback;
}

export function maybeWord(text: unknown): string | undefined {
  return typeof text === 'string' ? word(text, '') || undefined : undefined;
}

/** A time as payloads write it; undefined when it is none. */
export function instantOf(text: unknown): Date | undefined {
  const at = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : new Date(at);
}

/** For senders that give a delivery no id: the same bytes are the same delivery. */
export function idOfBody(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

/** `HIGH`, `Critical`, `P1`, `Warning` and their like. */
export function severityOf(text: string | undefined, fallback: Severity): Severity {
  const lower = (text ?? '').toLowerCase();
  if ((SEVERITIES as readonly string[]).includes(lower)) return lower as Severity;
  if (['emergency', 'alert', 'fatal', 'page', 'p1', 'sev1'].includes(lower)) return 'critical';
  if (['error', 'major', 'p2', 'sev2'].includes(lower)) return 'high';
  if (['warning', 'warn', 'moderate', 'p3', 'sev3'].includes(lower)) return 'medium';
  if (['notice', 'info', 'informational', 'debug', 'minor', 'none', 'p4', 'p5'].includes(lower)) return 'low';
  return fallback;
}

/**
 * The secrets that a found text may be: itself, and the passwords in it when it is an address, a JSON document or a line of
 * an environment file, since scanners report what their pattern matched.
 */
export function secretsIn(text: string): readonly SecretValue[] {
  const found = new Set<string>([text, text.trim()]);
  for (const match of text.matchAll(/[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:([^\s@]+)@/gi))
    found.add(decoded(match[1] ?? ''));
  const assigned = /^\s*(?:export\s+)?[\w.-]+\s*[=:]\s*(["']?)(.+?)\1\s*;?\s*$/s.exec(text)?.[2];
  if (assigned) found.add(assigned);
  for (const value of valuesOfDocument(text)) found.add(value);
  found.delete('');
  return [...found].slice(0, 20).map((each) => SecretValue.of(each));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function valuesOfDocument(text: string): readonly string[] {
  if (!text.trimStart().startsWith('{')) return [];
  try {
    const document: unknown = JSON.parse(text);
    const values = typeof document === 'object' && document !== null ? Object.entries(document) : [];
    return values.flatMap(([name, value]) =>
      typeof value === 'string' && /pass|pwd|secret|token|key/i.test(name) ? [value] : [],
    );
  } catch {
    return [];
  }
}

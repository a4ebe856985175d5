import type { z } from 'zod';
import { closest } from '../../core/closest.ts';
import { type Path, valueAt } from './problem.ts';

export interface Complaint {
  readonly path: Path;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/**
 * A zod issue in words for the writer of `document`. Never quotes a value: somebody may have pasted a
 * password into any field, and messages end up in logs.
 */
export function complaintsOf(issue: Issue, document: unknown, above: Path = []): Complaint[] {
  const path = [...above, ...issue.path.map((part) => (typeof part === 'symbol' ? '?' : part))];
  const value = valueAt(document, path);
  switch (issue.code) {
    case 'invalid_type':
      return [{ path, message: value === undefined ? 'is required' : `needs ${article(issue.expected)}` }];
    case 'invalid_value': {
      const choices = issue.values.map(String);
      const oneOf = `${choices.length > 1 ? 'one of ' : ''}${choices.join(', ')}`;
      const meant = typeof value === 'string' ? closest(value, choices) : undefined;
      const hint = meant ? `; did you mean "${meant}"?` : '';
      if (value === undefined) return [{ path, message: `is required: ${oneOf}` }];
      return [{ path, message: `needs ${oneOf}${hint}` }];
    }
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], message: 'is not a known field here' }));
    case 'invalid_union': {
      const [nearest] = [...issue.errors].sort(
        (a, b) => otherForms(a, value) - otherForms(b, value) || depth(b) - depth(a) || a.length - b.length,
      );
      if (!nearest || nearest.length === 0)
        return [{ path, message: 'has none of the forms that are allowed' }];
      return nearest.flatMap((inner) => complaintsOf(inner, document, path));
    }
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.flatMap((inner) => complaintsOf(inner, document, path));
    default:
      return [{ path, message: quotes(issue.message, value) ? 'is not valid' : issue.message }];
  }
}

/** Fixed words, such as `mode: single-user`, that say that another form was meant. */
function otherForms(issues: readonly Issue[], value: unknown): number {
  const fixed = issues.filter((issue) => issue.code === 'invalid_value' && issue.values.length === 1);
  return fixed.filter(({ path }) => typeof valueAt(value, path as Path) === 'string').length;
}

/** How far into the document the deepest of these issues is: the branch that got farthest was meant. */
function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function article(expected: string): string {
  if (expected === 'int') return 'a whole number';
  if (expected === 'object' || expected === 'record') return 'a map of fields';
  if (expected === 'array') return 'a list';
  if (expected === 'string') return 'text';
  return `a ${expected}`;
}

/** Whether `message`, written by a kind's own schema, repeats what the document holds. */
function quotes(message: string, value: unknown): boolean {
  if (typeof value === 'object' && value !== null) {
    return Object.values(value).some((inner) => quotes(message, inner));
  }
  const text = String(value ?? '');
  return text.length >= 4 && message.includes(text);
}

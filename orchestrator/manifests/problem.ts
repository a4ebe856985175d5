import { RotorError } from '../../core/errors.ts';

/** One thing wrong with a manifest. `line` and `column` count from 1; `message` never quotes a value. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** For instance `spec.deliver[0].file`; empty for the document itself. */
  readonly field: string;
  readonly message: string;
}

/** `manifest.invalid`, with everything that is wrong: one line each in the message, structured in `problems`. */
export class ManifestError extends RotorError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('manifest.invalid', { what: problems.map(formatProblem).join('\n') });
    this.problems = problems;
  }
}

/** `file:line:column: field: message`, the form that editors jump to. */
export function formatProblem({ file, line, column, field, message }: Problem): string {
  return `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`;
}

export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** What `document` holds at `path`; undefined when it isn't there. */
export function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

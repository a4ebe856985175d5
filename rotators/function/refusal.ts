import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Lent } from './secret-desk.ts';

const LONGEST = 400;

/**
 * What a function said of its failure, as one line that may stand in a message. Functions quote what they like: one that
 * holds a secret, however it is written, is dropped.
 */
export function quoted(text: string, secrets: readonly SecretValue[]): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return 'it gave no reason';
  for (const secret of secrets) {
    const plain = secret.reveal();
    if (plain.length >= 4 && spellings(plain).some((spelling) => line.includes(spelling)))
      return 'what it said holds a secret and is left out';
  }
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

/**
 * The values that must not be quoted, of documents and single values that a function has seen.
 * @param names of the secret fields
 */
export function secretsOf(handed: readonly SecretValue[], names: readonly string[]): readonly SecretValue[] {
  return handed.flatMap((value) => {
    let content: unknown;
    try {
      content = JSON.parse(value.reveal());
    } catch {
      return [value];
    }
    if (typeof content !== 'object' || content === null) return [value];
    const fields = content as Record<string, unknown>;
    // An admin's document has its own fields, of which this one is secret everywhere.
    return [...new Set([...names, 'password'])].flatMap((name) =>
      typeof fields[name] === 'string' ? [SecretValue.of(fields[name])] : [],
    );
  });
}

function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    secret.replace(/\s+/g, ' ').trim(),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}

/**
 * The error of a step that the function itself says has failed. What stood behind it comes first: a store that is throttled
 * or refuses Rotor, or a right that the function hasn't in this step. It may have done half its work, so it is `ambiguous`.
 */
export function stepFailed(
  what: string,
  { errorType, errorMessage }: { readonly errorType: string; readonly errorMessage: string },
  { problem, secrets }: { readonly problem: Lent['problem']; readonly secrets: readonly SecretValue[] },
): RotorError {
  if (problem) {
    return new RotorError(problem.code, {
      what: `${what}: ${problem.message}`,
      hint: problem.hint,
      // The store refused one call; what the function had done before that, nobody knows.
      kind: problem.kind === 'retryable' ? 'ambiguous' : problem.kind,
      ...(problem.retryAfterMs === undefined ? {} : { retryAfterMs: problem.retryAfterMs }),
    });
  }
  return new RotorError('function.failed', {
    what: `${what}: ${quoted(errorType, secrets)}: ${quoted(errorMessage, secrets)}`,
  });
}

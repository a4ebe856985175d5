import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { jsonObjectIn } from '../../../core/json.ts';
import type { Deadline } from '../../../core/retry.ts';

/** One value of a result, with what tells it from the others. */
interface Sample {
  readonly labels: string;
  readonly value: number;
}

/**
 * Asks a Prometheus server once (HTTP API, `POST /api/v1/query`:
 * https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries).
 * @returns what is wrong, in words; undefined when every value of the result is as expected
 */
export async function prometheusProblem(
  look: Deadline,
  { url, query, expect }: { readonly url: string; readonly query: string; readonly expect: string },
): Promise<string | undefined> {
  try {
    const { status, body } = await httpRequest(look, {
      url: `${url.replace(/\/+$/, '')}/api/v1/query`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ query }).toString(),
    });
    return answerProblem(status, body, expect);
  } catch (error) {
    if (error instanceof RotorError) return error.message;
    throw error;
  }
}

/** Judges an answer. Nothing, and an answer that the server itself doubts, is no proof that all is well. */
export function answerProblem(status: number, body: string, expect: string): string | undefined {
  const answer = jsonObjectIn(body) as Answer | undefined;
  if (answer?.status !== 'success')
    return `prometheus answers status ${status}${answer?.errorType ? ` (${short(answer.errorType)}: ${short(answer.error)})` : ''}`;
  const [warning] = answer.warnings ?? [];
  if (warning !== undefined) return `prometheus warns that the result may be wrong: ${short(warning)}`;
  const samples = samplesOf(answer.data);
  if (!samples)
    return `the query gives a ${short(answer.data?.resultType)}; it must give a scalar or a vector`;
  if (samples.length === 0) return 'the query gives nothing';
  const bad = samples.find(({ value }) => !holds(value, expect));
  return bad && `${bad.labels === '' ? 'the value' : bad.labels} is ${bad.value} instead of ${expect}`;
}

interface Answer {
  readonly status?: unknown;
  readonly errorType?: unknown;
  readonly error?: unknown;
  readonly warnings?: readonly unknown[];
  readonly data?: { readonly resultType?: unknown; readonly result?: unknown };
}

/** Values travel as text, since JSON has no NaN and no infinity: `[<time>, "0.5"]`, `"+Inf"`. */
function samplesOf(data: Answer['data']): readonly Sample[] | undefined {
  const { resultType, result } = data ?? {};
  if (!Array.isArray(result)) return undefined;
  if (resultType === 'scalar') return [{ labels: '', value: numberOf(result[1]) }];
  if (resultType !== 'vector') return undefined;
  return result.map((each: { metric?: Record<string, string>; value?: readonly unknown[] }) => ({
    labels: short(
      Object.entries(each.metric ?? {})
        .map(([name, value]) => `${name}="${value}"`)
        .join(','),
    ),
    // A sample without a float value is a native histogram, which no number compares with.
    value: numberOf(each.value?.[1]),
  }));
}

function numberOf(text: unknown): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return typeof text === 'string' && text !== '' ? Number(text) : Number.NaN;
}

/** NaN is as expected of nothing, `!=` included: a rate of nothing says nothing. */
export function holds(value: number, expect: string): boolean {
  const [, operator, text] = /^([<>=!]=?) ?(.+)$/.exec(expect) ?? [];
  const wanted = Number(text);
  if (Number.isNaN(value) || Number.isNaN(wanted)) return false;
  switch (operator) {
    case '<':
      return value < wanted;
    case '<=':
      return value <= wanted;
    case '>':
      return value > wanted;
    case '>=':
      return value >= wanted;
    case '==':
      return value === wanted;
    case '!=':
      return value !== wanted;
    default:
      return false;
  }
}

/** What others wrote, short enough for a message. */
function short(text: unknown): string {
  return String(text).replaceAll(/\s+/g, ' ').slice(0, 200);
}

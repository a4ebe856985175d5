import type { HttpAnswer } from './http.ts';

/** Without a word about how long: "wait for at least one minute before retrying". */
const UNSAID_MS = 60_000;
/** Limits are counted by the hour; whoever asks for more than that asks for something else. */
const LONGEST_MS = 3_900_000;
/**
 * How long a service wants not to be asked: `retry-after` in seconds; else, with nothing remaining, until `x-ratelimit-reset`
 * by its own clock (GitHub); else a minute when it speaks of a limit or has nothing remaining. Undefined
 * when the answer is about something else.
 */
export function rateLimitMs(
  { status, headers, body }: Pick<HttpAnswer, 'status' | 'headers' | 'body'>,
  now: Date,
): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const bounded = (ms: number) => Math.min(LONGEST_MS, Math.max(1_000, ms));
  const after = headers.get('retry-after');
  if (after !== null && /^\d{1,6}$/.test(after)) return bounded(Number(after) * 1_000);
  const reset = headers.get('x-ratelimit-reset') ?? '';
  const spent = headers.get('x-ratelimit-remaining') === '0';
  if (spent && /^\d{1,12}$/.test(reset)) {
    const there = Date.parse(headers.get('date') ?? '');
    // It resets within that very second.
    return bounded(Number(reset) * 1_000 - (Number.isNaN(there) ? now.getTime() : there) + 1_000);
  }
  return spent || status === 429 || /rate limit/i.test(body) ? UNSAID_MS : undefined;
}

import { expect, test } from 'vitest';
import { rateLimitMs } from './rate-limit.ts';

const now = new Date('2026-06-01T12:00:00Z');
const seconds = (at: string) => String(Date.parse(at) / 1_000);

test.each<[string, number, Record<string, string>, string, number | undefined]>([
  ['a time to wait', 403, { 'retry-after': '30' }, '', 30_000],
  [
    'nothing left',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': seconds('2026-06-01T12:10:00Z') },
    '',
    601_000,
  ],
  [
    'nothing left, by a clock there that is ten minutes ahead of ours',
    429,
    {
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': seconds('2026-06-01T12:15:00Z'),
      date: 'Mon, 01 Jun 2026 12:10:00 GMT',
    },
    '',
    301_000,
  ],
  ['nothing left, without a word about until when', 403, { 'x-ratelimit-remaining': '0' }, '', 60_000],
  ['a secondary limit in words', 403, {}, 'You have exceeded a secondary rate limit.', 60_000],
  ['too many, without a word', 429, {}, '', 60_000],
  ['a wait of days', 429, { 'retry-after': '999999' }, '', 3_900_000],
  [
    'a reset that has passed',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': seconds('2026-06-01T11:00:00Z') },
    '',
    1_000,
  ],
  ['a missing permission', 403, { 'x-ratelimit-remaining': '4999' }, 'Resource not accessible', undefined],
  ['something that is not there', 404, { 'retry-after': '30' }, '', undefined],
])('GitHub puts off: %s', (_what, status, headers, body, wait) => {
  expect(rateLimitMs({ status, headers: new Headers(headers), body }, now)).toBe(wait);
});

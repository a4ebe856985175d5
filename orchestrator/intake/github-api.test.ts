import { expect, test } from 'vitest';
import { rateLimitMs } from '../../core/rate-limit.ts';
import { alertName, isBelow } from './github-api.ts';

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

test.each([
  ['https://api.github.com', 'https://api.github.com/repositories/1/secret-scanning/alerts/1', true],
  ['https://git.acme.com/api/v3', 'https://git.acme.com/api/v3/repositories/1', true],
  ['https://git.acme.com/api/v3', 'https://git.acme.com/login', false],
  ['https://git.acme.com/api/v3', 'https://git.acme.com/api/v3/../../login', false],
  ['https://api.github.com', 'http://api.github.com/repositories/1', false],
  ['https://api.github.com', 'https://api.github.com.evil.example/repositories/1', false],
  ['https://api.github.com', 'https://user@api.github.com/repositories/1', false],
  ['https://api.github.com', 'http://169.254.169.254/latest/meta-data', false],
  ['https://api.github.com', '/repositories/1', false],
])('from %s a detour to %s is followed: %s', (base, address, followed) => {
  expect(isBelow(base, address)).toBe(followed);
});

test.each([
  [{ owner: 'acme', repo: 'shop', number: 1 }, true],
  [{ owner: 'jo_acme', repo: '.github', number: 2_147_483_647 }, true],
  [{ owner: '..', repo: 'shop', number: 1 }, false],
  [{ owner: 'acme', repo: '..', number: 1 }, false],
  [{ owner: 'acme', repo: 'a/b', number: 1 }, false],
  [{ owner: 'acme', repo: 'shop?x', number: 1 }, false],
  [{ owner: 'acme', repo: 'shop%2f', number: 1 }, false],
  [{ owner: 'acme', repo: 'shop', number: 0 }, false],
  [{ owner: 'acme', repo: 'shop', number: 1.5 }, false],
])('%j names an alert: %s', (name, valid) => {
  expect(alertName.safeParse(name).success).toBe(valid);
});

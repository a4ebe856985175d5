import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cronProblem, nextCron } from './cron.ts';

const BERLIN = 'Europe/Berlin';
const NEW_YORK = 'America/New_York';

test.each([
  ['plain', '0 3 * * *', BERLIN, '2026-07-01T00:00:00Z', '2026-07-01T01:00:00.000Z'],
  ['strictly after', '0 3 * * *', 'UTC', '2026-07-01T03:00:00Z', '2026-07-02T03:00:00.000Z'],
  [
    'Berlin: a skipped time fires an hour later',
    '30 2 * * *',
    BERLIN,
    '2026-03-29T00:00:00Z',
    '2026-03-29T01:30:00.000Z',
  ],
  ['Berlin: and only once', '30 2 * * *', BERLIN, '2026-03-29T01:30:00Z', '2026-03-30T00:30:00.000Z'],
  [
    'Berlin: a repeated time fires first',
    '30 2 * * *',
    BERLIN,
    '2026-10-25T00:00:00Z',
    '2026-10-25T00:30:00.000Z',
  ],
  ['Berlin: and not again', '30 2 * * *', BERLIN, '2026-10-25T00:30:00Z', '2026-10-26T01:30:00.000Z'],
  [
    'Berlin: not even after a run that ended in the repeated hour',
    '30 2 * * *',
    BERLIN,
    '2026-10-25T01:10:00Z',
    '2026-10-26T01:30:00.000Z',
  ],
  [
    'Lord Howe: the week of a change by half an hour is not left out',
    '15 3 * * 0',
    'Australia/Lord_Howe',
    '2026-03-28T16:15:00Z',
    '2026-04-04T16:45:00.000Z',
  ],
  [
    'Lord Howe: nor is the day of the change, asked within it',
    '0 3 * * *',
    'Australia/Lord_Howe',
    '2026-04-04T16:16:00Z',
    '2026-04-04T16:30:00.000Z',
  ],
  [
    'Berlin: every half hour fires in both hours',
    '*/30 * * * *',
    BERLIN,
    '2026-10-25T00:30:00Z',
    '2026-10-25T01:00:00.000Z',
  ],
  [
    'New York: a skipped time fires an hour later',
    '30 2 * * *',
    NEW_YORK,
    '2026-03-08T05:00:00Z',
    '2026-03-08T07:30:00.000Z',
  ],
  [
    'New York: a repeated time fires first',
    '30 1 * * *',
    NEW_YORK,
    '2026-11-01T05:00:00Z',
    '2026-11-01T05:30:00.000Z',
  ],
  ['New York: and not again', '30 1 * * *', NEW_YORK, '2026-11-01T06:10:00Z', '2026-11-02T06:30:00.000Z'],
  ['a leap day may be years away', '0 0 29 2 *', 'UTC', '2026-03-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
  ['@weekly is Sunday', '@weekly', 'UTC', '2026-11-21T00:00:00Z', '2026-11-22T00:00:00.000Z'],
])('%s', (_, cron, zone, after, expected) => {
  const next = nextCron(cron, zone, Date.parse(after));
  expect(next === undefined ? undefined : new Date(next).toISOString()).toBe(expected);
});

test('an expression that never fires has no next occurrence', () => {
  expect(nextCron('0 0 30 2 *', 'UTC', 0)).toBeUndefined();
});

test.each([
  ['', 'five fields'],
  ['* * *', 'five fields'],
  ['0 0 0 0 * * *', 'five fields'],
  ['0 0 30 2 *', 'no month has'],
  ['99 * * * *', 'out of range'],
  ['H 3 * * *', 'jitter'],
  ['@reboot', 'five fields'],
])('%j is refused', (cron, why) => {
  expect(cronProblem(cron)).toContain(why);
});

test('ordinary expressions are taken', () => {
  for (const cron of [
    '0 3 * * 6',
    '*/5 8-18 1,15 * MON-FRI',
    '@daily',
    '0 0 L * *',
    '0 3 * * 1#2',
    '0 0 * MAR THU',
  ]) {
    expect(cronProblem(cron)).toBeUndefined();
  }
});

test('occurrences never go back as time passes', () => {
  const instant = fc.integer({ min: Date.parse('2026-01-01'), max: Date.parse('2028-01-01') });
  const cron = fc.constantFrom('30 2 * * *', '*/20 * * * *', '15,45 1-3 * * 0', '0 0 1 * *');
  const zone = fc.constantFrom(BERLIN, NEW_YORK, 'Australia/Lord_Howe', 'UTC');
  fc.assert(
    fc.property(
      cron,
      zone,
      instant,
      fc.integer({ min: 0, max: 7_200_000 }),
      (expression, name, now, later) => {
        const first = nextCron(expression, name, now) ?? 0;
        const second = nextCron(expression, name, now + later) ?? 0;
        expect(first).toBeGreaterThan(now);
        expect(second).toBeGreaterThanOrEqual(first);
        if (now + later < first) expect(second).toBe(first);
      },
    ),
    { numRuns: 300 },
  );
});

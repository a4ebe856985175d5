import { expect, test } from 'vitest';
import { instantOf, isTimeZone, offsetAt } from './zone.ts';

const at = (year: number, month: number, day: number, minutes: number, zone: string) =>
  new Date(instantOf({ year, month, day }, minutes, zone)).toISOString();

test.each([
  ['a plain time', 2026, 7, 1, 22 * 60, 'Europe/Berlin', '2026-07-01T20:00:00.000Z'],
  ['a skipped time is when the clock jumps', 2026, 3, 29, 150, 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
  ['the end of the skipped hour', 2026, 3, 29, 180, 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
  ['a repeated time is the first of the two', 2026, 10, 25, 150, 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
  ['after the repeated hour', 2026, 10, 25, 180, 'Europe/Berlin', '2026-10-25T02:00:00.000Z'],
  ['a repeated time in New York', 2026, 11, 1, 90, 'America/New_York', '2026-11-01T05:30:00.000Z'],
  ['a skipped time in New York', 2026, 3, 8, 150, 'America/New_York', '2026-03-08T07:00:00.000Z'],
  ['a skipped midnight', 2026, 9, 6, 0, 'America/Santiago', '2026-09-06T04:00:00.000Z'],
  ['a jump of half an hour', 2026, 10, 4, 135, 'Australia/Lord_Howe', '2026-10-03T15:30:00.000Z'],
  ['midnight at the end of the day', 2026, 12, 31, 1440, 'UTC', '2027-01-01T00:00:00.000Z'],
])('%s', (_, year, month, day, minutes, zone, expected) => {
  expect(at(year, month, day, minutes, zone)).toBe(expected);
});

test('offsets follow the zone data', () => {
  expect(offsetAt(Date.parse('2026-01-01T00:00:00Z'), 'Asia/Kathmandu')).toBe(5.75 * 3_600_000);
});

test('zones are known by their IANA names only', () => {
  expect(['UTC', 'Europe/Berlin', '+02:00', 'Mars/Olympus', ''].map(isTimeZone)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

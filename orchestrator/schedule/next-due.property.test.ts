import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { nextDue, type ScheduleFacts } from './next-due.ts';
import { DAYS, scheduleSchema, type Window } from './schedule.ts';

const DAY_MS = 86_400_000;
const START = Date.parse('2026-01-01T00:00:00Z');

const zone = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
);
const time = fc
  .integer({ min: 0, max: 1439 })
  .map((minutes) => new Date(minutes * 60_000).toISOString().slice(11, 16));
const windowInput = fc
  .record({ from: time, to: time, timeZone: zone, days: fc.subarray([...DAYS], { minLength: 1 }) })
  .filter(({ from, to }) => from !== to && to !== '00:00');
const day = fc
  .integer({ min: 0, max: 700 })
  .map((days) => new Date(START + days * DAY_MS).toISOString().slice(0, 10));
const blackout = fc.tuple(day, day).map((pair) => {
  const [from = '', to = ''] = pair.sort();
  return { from, to };
});
const period = fc.oneof(
  fc.record({ cron: fc.constantFrom('30 2 * * *', '0 * * * *', '15 3 * * 0', '0 0 1 1 *') }),
  fc.record({ every: fc.integer({ min: 1, max: 2000 }).map((hours) => `${hours}h`) }),
);
const scheduleInput = fc
  .tuple(
    period,
    fc.record({
      timeZone: zone,
      jitter: fc.integer({ min: 0, max: 168 }).map((hours) => `${hours}h`),
      windows: fc.array(windowInput, { maxLength: 3 }),
      blackouts: fc.array(blackout, { maxLength: 3 }),
    }),
  )
  .map(([when, rest]): z.input<typeof scheduleSchema> => ({ ...when, ...rest }));
const maxAge = fc.option(
  fc.integer({ min: 1, max: 3000 }).map((hours) => `${hours}h`),
  { nil: undefined },
);

const factsInput = fc
  .record({
    policyUid: fc.uuid(),
    created: fc.integer({ min: 0, max: 400 * DAY_MS }),
    ran: fc.option(fc.integer({ min: 0, max: 90 * DAY_MS }), { nil: undefined }),
    passed: fc.integer({ min: 0, max: 90 * DAY_MS }),
    rotated: fc.boolean(),
  })
  .map(({ policyUid, created, ran, passed, rotated }): ScheduleFacts => {
    const createdAt = START + created;
    const last = ran === undefined ? undefined : new Date(createdAt + ran);
    return {
      policyUid,
      createdAt: new Date(createdAt),
      lastRunAt: last,
      rotatedAt: rotated && last ? new Date(last.getTime() + 1000) : undefined,
      now: new Date(createdAt + (ran ?? 0) + passed),
    };
  });

/** What the wall clock in the window's zone shows, asked of Intl in another way than the code under test does. */
function shows(window: Window, instant: number): boolean {
  const text = new Date(instant).toLocaleString('sv-SE', { timeZone: window.timeZone });
  const weekday = new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDay();
  const minutes = Number(text.slice(11, 13)) * 60 + Number(text.slice(14, 16));
  const opens = (day: number) => window.days.includes(DAYS[(day + 7) % 7] as (typeof DAYS)[number]);
  if (window.from < window.to) return opens(weekday) && window.from <= minutes && minutes < window.to;
  return (opens(weekday) && minutes >= window.from) || (opens(weekday - 1) && minutes < window.to);
}

/** Within a day of a change of the clock wall time is ambiguous; tables cover those days. */
function nearClockChange(window: Window, instant: number): boolean {
  const offset = (at: number) =>
    new Date(at).toLocaleString('sv-SE', { timeZone: window.timeZone, timeZoneName: 'longOffset' }).slice(20);
  return offset(instant - DAY_MS) !== offset(instant + DAY_MS);
}

test('a due date is never in the past, never in a blackout, and inside a window when there are windows', () => {
  fc.assert(
    fc.property(scheduleInput, factsInput, (input, facts) => {
      const schedule = scheduleSchema.parse(input);
      const at = nextDue(schedule, facts).at?.getTime();
      if (at === undefined) return;
      expect(at).toBeGreaterThanOrEqual(facts.now.getTime());
      expect(schedule.blackouts.filter((each) => each.from <= at && at < each.to)).toEqual([]);
      const sure = schedule.windows.length > 0 && !schedule.windows.some((each) => nearClockChange(each, at));
      if (sure) expect(schedule.windows.some((each) => shows(each, at))).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test('maxAge holds but for blackouts and downtime', () => {
  fc.assert(
    fc.property(scheduleInput, factsInput, fc.integer({ min: 1, max: 3000 }), (input, facts, hours) => {
      const schedule = scheduleSchema.parse({ ...input, maxAge: `${hours}h` });
      const limit = (facts.rotatedAt ?? facts.createdAt).getTime() + hours * 3_600_000;
      const at = nextDue(schedule, facts).at?.getTime() ?? Number.POSITIVE_INFINITY;
      const late = Math.max(
        limit,
        facts.now.getTime(),
        (facts.lastRunAt ?? facts.createdAt).getTime() + 3_600_000,
      );
      const excused = schedule.blackouts.some(
        (each) => each.to === at || (each.from <= late && late < each.to),
      );
      if (!excused) expect(at).toBeLessThanOrEqual(late);
    }),
    { numRuns: 400 },
  );
});

test('planning again changes nothing, and time passing never brings a due date forward', () => {
  fc.assert(
    fc.property(
      scheduleInput,
      maxAge,
      factsInput,
      fc.integer({ min: 0, max: 30 * DAY_MS }),
      (input, age, facts, passed) => {
        const schedule = scheduleSchema.parse({ ...input, ...(age === undefined ? {} : { maxAge: age }) });
        const first = nextDue(schedule, facts);
        expect(nextDue(schedule, facts)).toEqual(first);
        const now = new Date(facts.now.getTime() + passed);
        const second = nextDue(schedule, { ...facts, now });
        if (!first.at || !second.at) return expect(second.at).toEqual(first.at);
        expect(second.at.getTime()).toBeGreaterThanOrEqual(first.at.getTime());
        if (now <= first.at) expect(second.at).toEqual(first.at);
      },
    ),
    { numRuns: 400 },
  );
});

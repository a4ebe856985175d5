import { z } from 'zod';
import { duration } from '../../core/duration-schema.ts';
import { cronProblem } from './cron.ts';
import { instantOf, isTimeZone } from './zone.ts';

/** Weekdays in the order of Date.getUTCDay(). */
export const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

const WEEK_MS = 7 * 86_400_000;
/** Windows are searched this far around an instant; a longer jitter would not fit in. */
const MAX_JITTER_MS = WEEK_MS;

const timeZone = z
  .string()
  .refine(isTimeZone, 'needs an IANA time zone such as "Europe/Berlin" or "UTC"')
  .describe('IANA time zone');

const timeOfDay = z
  .string()
  .regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'needs a time of day such as "22:00"')
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

const window = z
  .strictObject({
    days: z.array(z.enum(DAYS)).min(1).optional().describe('Days on which the window opens; all when absent'),
    from: timeOfDay,
    to: timeOfDay.describe('Earlier than `from`: on the next day'),
    timeZone: timeZone.optional(),
  })
  .refine(({ from, to }) => from !== to && from < 1440 && to > 0, {
    path: ['to'],
    message: 'must differ from `from`; a whole day is from "00:00" to "24:00"',
  });

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/;
const dayOrInstant = z
  .string()
  .refine(isDayOrInstant, 'needs a date such as "2026-12-24", or a time with offset: "2026-12-24T18:00:00Z"');

const blackout = z.strictObject({
  from: dayOrInstant,
  to: dayOrInstant.describe('A plain date is included to its end'),
  reason: z.string().min(1).max(200).optional(),
});

/** Schema of `RotationPolicy.spec.schedule`: times of day become minutes, durations and blackouts milliseconds. */
export const scheduleSchema = z
  .strictObject({
    cron: z
      .string()
      .superRefine((cron, context) => {
        const message = cronProblem(cron);
        if (message) context.addIssue({ code: 'custom', message });
      })
      .optional(),
    every: duration({ min: 1000 }).optional(),
    timeZone: timeZone.default('UTC'),
    jitter: duration({ max: MAX_JITTER_MS }).default(0),
    windows: z.array(window).max(50).default([]),
    blackouts: z.array(blackout).max(500).default([]),
    maxAge: duration({ min: 1000 }).optional(),
  })
  .refine((schedule) => schedule.cron === undefined || schedule.every === undefined, {
    path: ['every'],
    message: 'excludes `cron`: keep one of the two',
    when: () => true,
  })
  .refine(({ cron, every, maxAge }) => cron !== undefined || every !== undefined || maxAge !== undefined, {
    message: 'needs `cron`, `every` or `maxAge`; leave the whole `schedule` out to rotate only when asked',
  })
  .transform((schedule, context) => ({
    ...schedule,
    windows: schedule.windows.map((each) => ({
      days: each.days ?? DAYS,
      from: each.from,
      to: each.to,
      timeZone: each.timeZone ?? schedule.timeZone,
    })),
    blackouts: schedule.blackouts.map((each, index) => {
      const span = {
        from: edge(each.from, schedule.timeZone, 0),
        to: edge(each.to, schedule.timeZone, 1440),
      };
      if (span.to <= span.from) {
        context.addIssue({
          code: 'custom',
          path: ['blackouts', index, 'to'],
          message: 'must be after `from`',
        });
      }
      return { ...span, reason: each.reason };
    }),
  }));

/** A schedule as the decisions take it. */
export type Schedule = z.output<typeof scheduleSchema>;
export type Window = Schedule['windows'][number];
export type Blackout = Schedule['blackouts'][number];

function edge(text: string, zone: string, minutes: number): number {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (day === undefined) return Date.parse(text);
  return instantOf({ year: Number(year), month: Number(month), day: Number(day) }, minutes, zone);
}

function isDayOrInstant(text: string): boolean {
  if (!DATE.test(text) && !DATE_TIME.test(text)) return false;
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  // Date rolls February 30 over to March: compare with what was written.
  const real = !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10));
  return real && !Number.isNaN(Date.parse(text));
}

import { type CronExpression, CronExpressionParser } from 'cron-parser';
import { instantOf, offsetAt } from './zone.ts';

const THREE_HOURS_MS = 3 * 3_600_000;
/** One a second in three hours: the most that a search can skip before it passes its start. */
const MOST_SKIPPED = 11_000;
const PREDEFINED = /^@(yearly|annually|monthly|weekly|daily|hourly)$/;
/** Five fields, or six with seconds first. No `H`: the parser would draw it anew at every call, and no `R` or `?`. */
const FIELDS = /^[\dA-Za-z*,/#-]+( +[\dA-Za-z*,/#-]+){4,5}$/;

/**
 * The first occurrence of `cron` after `after` (epoch ms), or undefined when it never fires.
 *
 * A time that the clock skips in spring fires an hour later by the wall clock (02:30 becomes 03:30). A
 * time that it shows twice in autumn fires the first time only; expressions for every hour fire in both.
 */
export function nextCron(cron: string, timeZone: string, after: number): number | undefined {
  // Started within the repeated hour, cron-parser 5.10 fires fixed times a second time, so start before it.
  const changed = offsetAt(after - THREE_HOURS_MS, timeZone) !== offsetAt(after, timeZone);
  const expression = parse(cron, timeZone, changed ? after - THREE_HOURS_MS : after);
  if (!expression) return undefined;
  try {
    for (let skipped = 0; skipped < MOST_SKIPPED; skipped += 1) {
      const occurrence = expression.next().getTime();
      if (occurrence > after) return occurrence;
    }
  } catch {
    // The parser gives up after a bounded search; cron-parser 5.10 also where a clock is set back by half
    // an hour (Australia/Lord_Howe), so that the wall clock has the last word.
    return nextByWallClock(cron, timeZone, after);
  }
  return undefined;
}

/** The same, found on a calendar without changes of the clock; a repeated hour counts once. */
function nextByWallClock(cron: string, timeZone: string, after: number): number | undefined {
  const expression = parse(cron, 'UTC', after + offsetAt(after, timeZone) - THREE_HOURS_MS);
  try {
    for (let skipped = 0; expression && skipped < MOST_SKIPPED; skipped += 1) {
      const wall = expression.next().toDate();
      const date = { year: wall.getUTCFullYear(), month: wall.getUTCMonth() + 1, day: wall.getUTCDate() };
      const minute = instantOf(date, wall.getUTCHours() * 60 + wall.getUTCMinutes(), timeZone);
      const occurrence = minute + wall.getUTCSeconds() * 1000;
      if (occurrence > after) return occurrence;
    }
  } catch {
    // No such day in years: never.
  }
  return undefined;
}

/** Why `cron` can't be a schedule, in words that don't quote it; undefined when it can. */
export function cronProblem(cron: string): string | undefined {
  if (!PREDEFINED.test(cron) && !FIELDS.test(cron)) {
    return 'needs five fields (minute, hour, day of month, month, day of week) such as "0 3 * * 6", six with seconds first, or @daily, @weekly, @monthly';
  }
  if (/\b[HRW]\b/i.test(cron)) return 'must not draw random times: use `jitter`';
  const expression = parse(cron, 'UTC', 0);
  if (!expression) return 'has a field out of range, or a day that no month has';
  try {
    expression.next();
    return undefined;
  } catch {
    return 'never fires';
  }
}

function parse(cron: string, timeZone: string, after: number): CronExpression | undefined {
  try {
    return CronExpressionParser.parse(cron, { tz: timeZone, currentDate: new Date(after) });
  } catch {
    return undefined;
  }
}

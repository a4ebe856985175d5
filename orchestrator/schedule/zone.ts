/** Wall clocks of time zones, from the runtime's own zone data (Intl). Instants are epoch milliseconds. */

const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** A day of the calendar, without a zone. `month` counts from 1. */
export interface LocalDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export function isTimeZone(name: string): boolean {
  try {
    // Offsets such as "+01:00" are taken by Intl too, but know no daylight-saving time and so surprise people.
    return !/^[+-]/.test(name) && formatOf(name) !== undefined;
  } catch {
    return false;
  }
}

/** Milliseconds by which the wall clock in `zone` is ahead of UTC at `instant`. */
export function offsetAt(instant: number, zone: string): number {
  if (zone === 'UTC') return 0;
  const whole = Math.floor(instant / 1000) * 1000;
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(whole)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
}

/** The day that the wall clock in `zone` shows at `instant`. */
export function localDateAt(instant: number, zone: string): LocalDate {
  const local = new Date(instant + offsetAt(instant, zone));
  return { year: local.getUTCFullYear(), month: local.getUTCMonth() + 1, day: local.getUTCDate() };
}

/**
 * The first instant at which the wall clock in `zone` shows `minutes` past midnight of `date`, or, when
 * the clock skips that time, the instant at which it jumps past it.
 */
export function instantOf(date: LocalDate, minutes: number, zone: string): number {
  const wall = Date.UTC(date.year, date.month - 1, date.day) + minutes * 60_000;
  const before = wall - offsetAt(wall - DAY_MS, zone);
  const after = wall - offsetAt(wall + DAY_MS, zone);
  if (before === after) return before;
  const shown = [before, after].filter((instant) => instant + offsetAt(instant, zone) === wall);
  return shown.length > 0
    ? Math.min(...shown)
    : jumpBetween(Math.min(before, after), Math.max(before, after), zone);
}

/** First instant in (`low`, `high`] with the offset that `zone` has at `high`. */
function jumpBetween(low: number, high: number, zone: string): number {
  const target = offsetAt(high, zone);
  let [left, right] = [low, high];
  while (right - left > 1) {
    const middle = Math.floor((left + right) / 2);
    if (offsetAt(middle, zone) === target) right = middle;
    else left = middle;
  }
  return right;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  return format;
}

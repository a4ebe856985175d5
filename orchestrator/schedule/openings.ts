import { type Blackout, DAYS, type Window } from './schedule.ts';
import { instantOf, type LocalDate, localDateAt } from './zone.ts';

/** A span in which rotations may start: from `from` on, before `to`. Epoch ms; open ends are infinite. */
export interface Opening {
  readonly from: number;
  readonly to: number;
}

const DAY_MS = 86_400_000;
/** A week's window may vanish with the hour that the clock skips, so two weeks must be looked at, plus edges. */
const DAYS_AHEAD = 16;
/** The longest jitter is seven days: an opening that began earlier than that doesn't move anything. */
const DAYS_BACK = 9;

/**
 * The first opening that ends after `instant`: a maintenance window (any time when there are none) less
 * blackouts. Undefined when windows never open. Takes at most one step per blackout.
 */
export function openingAfter(
  instant: number,
  windows: readonly Window[],
  blackouts: readonly Blackout[],
): Opening | undefined {
  const closed = union(blackouts);
  let after = instant;
  for (let step = 0; step <= closed.length + 1; step += 1) {
    const covering = closed.find((span) => span.from <= after && after < span.to);
    if (covering) after = covering.to;
    const open = windowAfter(after, windows);
    if (!open) return undefined;
    const begin = Math.max(after, open.from);
    const blocked = closed.find((span) => span.from <= begin && begin < span.to);
    if (!blocked) return between(begin, open, closed);
    after = blocked.to;
  }
  return undefined;
}

/** The last opening that begins at or before `instant` and after `since`, looked for in the last nine days. */
export function openingBefore(
  instant: number,
  since: number,
  windows: readonly Window[],
  blackouts: readonly Blackout[],
): Opening | undefined {
  let found: Opening | undefined;
  let after = Math.max(since, instant - DAYS_BACK * DAY_MS);
  const most = blackouts.length + (windows.length + 1) * (DAYS_BACK + DAYS_AHEAD);
  for (let step = 0; step <= most; step += 1) {
    const opening = openingAfter(after, windows, blackouts);
    if (!opening || opening.from > instant) return found;
    found = opening;
    after = opening.to;
  }
  return found;
}

/** `open` around `begin`, cut where the blackouts before and after it end and begin. */
function between(begin: number, open: Opening, closed: readonly Opening[]): Opening {
  let { from, to } = open;
  for (const span of closed) {
    if (span.to <= begin) from = Math.max(from, span.to);
    if (span.from > begin) to = Math.min(to, span.from);
  }
  return { from, to };
}

/** The first window that ends after `after`, windows that touch or overlap being one. */
function windowAfter(after: number, windows: readonly Window[]): Opening | undefined {
  if (windows.length === 0) return { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
  if (!Number.isFinite(after)) return undefined;
  const spans: Opening[] = [];
  for (const window of windows) {
    const date = localDateAt(after, window.timeZone);
    for (let day = -DAYS_BACK; day <= DAYS_AHEAD; day += 1) {
      const span = onDay(window, addDays(date, day));
      if (span) spans.push(span);
    }
  }
  return union(spans).find((span) => span.to > after);
}

/** The window that opens on `date`; undefined on another weekday, or when the clock skips all of it. */
function onDay(window: Window, date: LocalDate): Opening | undefined {
  const weekday = new Date(Date.UTC(date.year, date.month - 1, date.day)).getUTCDay();
  const name = DAYS[weekday];
  if (!name || !window.days.includes(name)) return undefined;
  const closes = window.to > window.from ? date : addDays(date, 1);
  const from = instantOf(date, window.from, window.timeZone);
  const to = instantOf(closes, window.to, window.timeZone);
  return from < to ? { from, to } : undefined;
}

function addDays(date: LocalDate, days: number): LocalDate {
  const moved = new Date(Date.UTC(date.year, date.month - 1, date.day + days));
  return { year: moved.getUTCFullYear(), month: moved.getUTCMonth() + 1, day: moved.getUTCDate() };
}

/** The spans in order, those that touch or overlap merged. */
function union(spans: readonly Opening[]): Opening[] {
  const merged: Opening[] = [];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last && from <= last.to) merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, to) };
    else merged.push({ from, to });
  }
  return merged;
}

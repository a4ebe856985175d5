import { createHash } from 'node:crypto';
import { formatDuration } from '../../core/duration.ts';
import { nextCron } from './cron.ts';
import { type Opening, openingAfter, openingBefore } from './openings.ts';
import type { Schedule } from './schedule.ts';

/** What has happened so far, gathered from the ledger. No clock in here: `now` is a fact like the others. */
export interface ScheduleFacts {
  /** Identifies the policy for good; the seed of its jitter. */
  readonly policyUid: string;
  readonly now: Date;
  /** When the policy was made, or its schedule last changed. */
  readonly createdAt: Date;
  /** When the last run started, whatever became of it; occurrences up to then are dealt with. */
  readonly lastRunAt?: Date | undefined;
  /** When the current credential was made; its age counts from here (from `createdAt` when unknown). */
  readonly rotatedAt?: Date | undefined;
  readonly suspended?: boolean | undefined;
  /** Since when an event asks for a rotation: it waits for an opening and for paired policies, for nothing else. */
  readonly requestedAt?: Date | undefined;
  /** The policies named in `apart.from`, and the distance in milliseconds. */
  readonly apart?: { readonly atLeastMs: number; readonly peers: readonly Peer[] } | undefined;
}

export interface Peer {
  readonly name: string;
  /** Whether one of its rotations runs now. */
  readonly running: boolean;
  readonly lastEndedAt?: Date | undefined;
}

export interface Due {
  /** When to rotate next, never before `now`; undefined when nothing is planned. */
  readonly at: Date | undefined;
  /** What the schedule asked for before windows, blackouts, distance and downtime; lag is measured from here. */
  readonly planned: Date | undefined;
  /** For people: why then, or why not at all. */
  readonly reason: string;
}

/** An overdue credential whose rotation failed is tried again after this long. */
export const MAX_AGE_RETRY_MS = 3_600_000;

/** The last day that JavaScript's Date can hold; later than it is never. */
const END_OF_TIME = 8.64e15;

interface Wish {
  readonly planned: number;
  readonly at: number;
  readonly why: string;
}

/**
 * When a policy is due next. Pure, and the same facts always give the same instant, so planning again
 * changes nothing; as `now` passes, the answer never goes back.
 *
 * The occurrence of `cron` or `every` is moved into the next opening (windows less blackouts), plus
 * jitter. Missed occurrences make one run, now. `maxAge` beats windows but not blackouts, and nothing
 * beats `suspend` and the distance to paired policies.
 */
export function nextDue(schedule: Schedule | undefined, facts: ScheduleFacts): Due {
  if (!schedule && !facts.requestedAt) return never('no schedule: rotates only when asked');
  if (facts.suspended) return never(facts.requestedAt ? 'suspended; an event waits' : 'suspended');
  const distance = earliestByDistance(facts);
  const earliest = Math.max(facts.now.getTime(), distance.at);
  const regular = schedule && [byOccurrence(schedule, facts, earliest), byAge(schedule, facts, earliest)];
  const wishes = [byEvent(schedule, facts, earliest), ...(regular ?? [])].filter(
    (wish) => wish !== undefined,
  );
  const [first] = wishes.sort((a, b) => a.at - b.at);
  if (!first || first.at > END_OF_TIME) return never(schedule ? whyNever(schedule) : 'never');
  const apart = distance.peer !== undefined && first.at === distance.at;
  return {
    at: new Date(first.at),
    planned: new Date(first.planned),
    reason: apart ? `${first.why}, kept apart from policy ${distance.peer}` : first.why,
  };
}

/** Whole milliseconds in [0, `jitterMs`], spread evenly over policies and occurrences, and always the same for one. */
export function jitterOf(policyUid: string, occurrence: number, jitterMs: number): number {
  const hash = createHash('sha256').update(`${policyUid}\n${occurrence}`).digest();
  return Math.floor((hash.readUIntBE(0, 6) / 2 ** 48) * (jitterMs + 1));
}

function byOccurrence(schedule: Schedule, facts: ScheduleFacts, earliest: number): Wish | undefined {
  const since = (facts.lastRunAt ?? facts.createdAt).getTime();
  let planned: number | undefined;
  let why: string;
  if (schedule.cron !== undefined) {
    planned = nextCron(schedule.cron, schedule.timeZone, since);
    why = `cron "${schedule.cron}" in ${schedule.timeZone}`;
  } else if (schedule.every !== undefined) {
    planned = since + schedule.every;
    why = `every ${formatDuration(schedule.every)}`;
  } else return undefined;
  if (planned === undefined) return undefined;
  return place(planned, earliest, facts, schedule, why);
}

/** What an event asks for has been decided by somebody else: it gets no jitter, and waits for the next opening at most. */
function byEvent(schedule: Schedule | undefined, facts: ScheduleFacts, earliest: number): Wish | undefined {
  if (!facts.requestedAt) return undefined;
  const planned = facts.requestedAt.getTime();
  const opening = openingAfter(
    Math.max(planned, earliest),
    schedule?.windows ?? [],
    schedule?.blackouts ?? [],
  );
  if (!opening) return undefined;
  const at = Math.max(opening.from, planned, earliest);
  const why =
    opening.from > planned ? 'asked for by an event, moved to the next opening' : 'asked for by an event';
  return { planned, at, why };
}

/** Moves an occurrence into the first opening that is still open after it and after `earliest`. */
function place(
  planned: number,
  earliest: number,
  facts: ScheduleFacts,
  schedule: Schedule,
  why: string,
): Wish | undefined {
  const from = Math.max(planned, earliest);
  const opening = openingAfter(from, schedule.windows, schedule.blackouts);
  if (!opening) return undefined;
  const start = Math.max(opening.from, planned);
  const room = opening.to - start - 1;
  const target = start + jitterOf(facts.policyUid, planned, Math.max(0, Math.min(schedule.jitter, room)));
  const at = Math.max(target, earliest);
  return { planned, at, why: `${why}${moved(planned, at, opening, schedule, facts)}` };
}

function moved(
  planned: number,
  at: number,
  opening: Opening,
  schedule: Schedule,
  facts: ScheduleFacts,
): string {
  if (opening.from > planned) return ', moved to the next opening';
  if (at === facts.now.getTime() && at > planned + schedule.jitter) return ', missed and run once';
  return '';
}

/**
 * The oldest that a credential may get. It is renewed in the last opening before that when there is one,
 * at the limit itself when there is none, and after a blackout that covers the limit.
 */
function byAge(schedule: Schedule, facts: ScheduleFacts, earliest: number): Wish | undefined {
  if (schedule.maxAge === undefined) return undefined;
  const born = (facts.rotatedAt ?? facts.createdAt).getTime();
  const jitter = jitterOf(facts.policyUid, born, Math.min(schedule.jitter, Math.floor(schedule.maxAge / 2)));
  const limit = born + schedule.maxAge - jitter;
  const why = `maxAge ${formatDuration(schedule.maxAge)}`;
  const { windows, blackouts } = schedule;
  const failed = facts.lastRunAt !== undefined && facts.lastRunAt.getTime() >= born + 1;
  const retry = failed && facts.lastRunAt ? facts.lastRunAt.getTime() + MAX_AGE_RETRY_MS : earliest;
  const from = Math.max(earliest, retry);
  const wanted = lastChance(limit, born, facts.policyUid, schedule);
  const opening = openingAfter(Math.max(wanted, from), windows, blackouts);
  const inWindow = opening ? Math.max(wanted, from, opening.from) : Number.POSITIVE_INFINITY;
  const forced = Math.max(limit, from);
  const afterBlackout = openingAfter(forced, [], blackouts);
  const atLimit = afterBlackout ? Math.max(forced, afterBlackout.from) : Number.POSITIVE_INFINITY;
  if (inWindow <= atLimit) return { planned: wanted, at: inWindow, why };
  const beaten = windows.length > 0 ? `${why}, outside the windows` : why;
  return { planned: limit, at: atLimit, why: beaten };
}

/** When to renew so that neither windows nor the limit are broken; the limit itself when that can't be. */
function lastChance(limit: number, born: number, policyUid: string, schedule: Schedule): number {
  const last = openingBefore(limit, born, schedule.windows, schedule.blackouts);
  // An opening that was open at birth doesn't count: the credential would be renewed again and again in it.
  if (!last || last.to > limit || last.from <= born) return limit;
  const room = last.to - last.from - 1;
  return last.from + jitterOf(policyUid, born, Math.max(0, Math.min(schedule.jitter, room)));
}

function earliestByDistance(facts: ScheduleFacts): {
  readonly at: number;
  readonly peer: string | undefined;
} {
  let at = Number.NEGATIVE_INFINITY;
  let peer: string | undefined;
  for (const each of facts.apart?.peers ?? []) {
    // A running rotation ends now at the earliest.
    const ended = each.running ? facts.now.getTime() : each.lastEndedAt?.getTime();
    const free = ended === undefined ? at : ended + (facts.apart?.atLeastMs ?? 0);
    if (free > at) [at, peer] = [free, each.name];
  }
  return { at, peer };
}

function whyNever(schedule: Schedule): string {
  if (schedule.windows.length > 0) return 'never: no occurrence meets an open window';
  return schedule.cron === undefined ? 'never' : `never: cron "${schedule.cron}" does not fire`;
}

function never(reason: string): Due {
  return { at: undefined, planned: undefined, reason };
}

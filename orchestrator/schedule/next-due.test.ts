import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { jitterOf, nextDue, type ScheduleFacts } from './next-due.ts';
import { scheduleSchema } from './schedule.ts';

type Input = z.input<typeof scheduleSchema>;

/** Facts of a policy made on Saturday 2026-11-21 and never run; times are ISO text. */
function facts(
  changes: Partial<Record<'now' | 'createdAt' | 'lastRunAt' | 'rotatedAt', string>> = {},
): ScheduleFacts {
  const created = changes.createdAt ?? '2026-11-21T00:00:00Z';
  return {
    policyUid: 'policy-1',
    createdAt: new Date(created),
    now: new Date(changes.now ?? created),
    lastRunAt: changes.lastRunAt ? new Date(changes.lastRunAt) : undefined,
    rotatedAt: changes.rotatedAt ? new Date(changes.rotatedAt) : undefined,
  };
}

function due(schedule: Input, given: ScheduleFacts = facts()): string | undefined {
  return nextDue(scheduleSchema.parse(schedule), given).at?.toISOString().replace('.000Z', 'Z');
}

const NIGHT = { from: '22:00', to: '04:00' };

describe('occurrences', () => {
  test('cron fires in its time zone', () => {
    expect(due({ cron: '0 3 * * *', timeZone: 'Europe/Berlin' })).toBe('2026-11-21T02:00:00Z');
  });
  test('every counts from the last run, whatever became of it', () => {
    const given = facts({ lastRunAt: '2026-11-25T10:00:00Z', now: '2026-11-25T11:00:00Z' });
    expect(due({ every: '30d' }, given)).toBe('2026-12-25T10:00:00Z');
  });
  test('many missed occurrences make one run, now', () => {
    const missed = facts({ now: '2026-12-24T12:34:56Z' });
    expect(due({ cron: '0 * * * *' }, missed)).toBe('2026-12-24T12:34:56Z');
    const after = facts({ now: '2026-12-24T12:35:00Z', lastRunAt: '2026-12-24T12:34:56Z' });
    expect(due({ cron: '0 * * * *' }, after)).toBe('2026-12-24T13:00:00Z');
  });
  test('lag is measured from what was planned', () => {
    const result = nextDue(scheduleSchema.parse({ every: '1h' }), facts({ now: '2026-11-21T03:00:00Z' }));
    expect(result.planned?.toISOString()).toBe('2026-11-21T01:00:00.000Z');
    expect(result.reason).toBe('every 1h, missed and run once');
  });
});

describe('an event', () => {
  const asked = (now: string): ScheduleFacts => ({ ...facts({ now }), requestedAt: new Date(now) });
  const told = (schedule: Input | undefined, given: ScheduleFacts) => {
    const { at, reason } = nextDue(schedule && scheduleSchema.parse(schedule), given);
    return [at?.toISOString(), reason];
  };
  const NOON = '2026-11-21T12:00:00Z';
  test('is due at once where nothing holds it back, with or without a schedule', () => {
    const now = ['2026-11-21T12:00:00.000Z', 'asked for by an event'];
    expect(told(undefined, asked(NOON))).toEqual(now);
    expect(told({ every: '30d', jitter: '1h' }, asked(NOON))).toEqual(now);
  });
  test('waits for the next opening', () => {
    expect(told({ every: '30d', windows: [NIGHT] }, asked(NOON))).toEqual([
      '2026-11-21T22:00:00.000Z',
      'asked for by an event, moved to the next opening',
    ]);
  });
  test('keeps its distance, and waits while the policy is suspended', () => {
    const peers = [{ name: 'other', running: true }];
    const [at] = told(undefined, { ...asked(NOON), apart: { atLeastMs: 3_600_000, peers } });
    expect(at).toBe('2026-11-21T13:00:00.000Z');
    expect(told(undefined, { ...asked(NOON), suspended: true })).toEqual([
      undefined,
      'suspended; an event waits',
    ]);
  });
});

describe('windows', () => {
  test('an occurrence outside is moved to the start of the next one', () => {
    expect(due({ cron: '0 12 * * *', windows: [NIGHT] })).toBe('2026-11-21T22:00:00Z');
  });
  test('an occurrence after midnight is inside a window that opened the day before', () => {
    expect(due({ cron: '0 3 * * *', windows: [{ ...NIGHT, days: ['Fri'] }] })).toBe('2026-11-21T03:00:00Z');
    expect(due({ cron: '0 3 * * *', windows: [{ ...NIGHT, days: ['Sat'] }] })).toBe('2026-11-21T22:00:00Z');
  });
  test('the end is outside', () => {
    expect(due({ cron: '0 4 * * *', windows: [NIGHT] })).toBe('2026-11-21T22:00:00Z');
  });
  test('a window keeps its wall-clock time over the change to summer time', () => {
    const window = { from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' };
    const spring = facts({ createdAt: '2026-03-28T12:00:00Z' });
    expect(due({ cron: '30 1 * * *', windows: [window] }, spring)).toBe('2026-03-29T01:30:00Z');
    expect(due({ cron: '0 2 * * *', windows: [window] }, spring)).toBe('2026-03-29T20:00:00Z');
  });
  test('a window that the clock skips does not open that night', () => {
    const window = { from: '02:00', to: '03:00', days: ['Sun' as const], timeZone: 'Europe/Berlin' };
    const spring = facts({ createdAt: '2026-03-28T12:00:00Z' });
    expect(due({ every: '1h', windows: [window] }, spring)).toBe('2026-04-05T00:00:00Z');
  });
  test('windows that touch are one', () => {
    const windows = [
      { from: '00:00', to: '12:00' },
      { from: '12:00', to: '24:00' },
    ];
    const given = { ...facts({ createdAt: '2026-11-21T00:00:00Z' }) };
    const plain = due({ cron: '59 11 * * *', jitter: '6h' }, given);
    expect(due({ cron: '59 11 * * *', jitter: '6h', windows }, given)).toBe(plain);
  });
  test('a run missed in a window waits for the next one', () => {
    expect(due({ cron: '0 23 * * *', windows: [NIGHT] }, facts({ now: '2026-11-22T09:00:00Z' }))).toBe(
      '2026-11-22T22:00:00Z',
    );
  });
});

describe('blackouts', () => {
  const blackouts = [{ from: '2026-12-23', to: '2027-01-02', reason: 'peak season' }];
  test('an occurrence inside is moved to the end; a plain last day is included', () => {
    expect(due({ cron: '0 3 24 12 *', blackouts })).toBe('2027-01-03T00:00:00Z');
  });
  test('and then into a window', () => {
    expect(due({ cron: '0 3 24 12 *', blackouts, windows: [NIGHT] })).toBe('2027-01-03T00:00:00Z');
    const afternoon = [{ from: '15:00', to: '16:00' }];
    expect(due({ cron: '0 3 24 12 *', blackouts, windows: afternoon })).toBe('2027-01-03T15:00:00Z');
  });
  test('days are those of the schedule’s time zone', () => {
    expect(due({ cron: '0 3 24 12 *', blackouts, timeZone: 'America/New_York' })).toBe(
      '2027-01-03T05:00:00Z',
    );
  });
  test('overlapping ones are one', () => {
    const more = [...blackouts, { from: '2027-01-02T12:00:00Z', to: '2027-01-05T12:00:00Z' }];
    expect(due({ cron: '0 3 24 12 *', blackouts: more })).toBe('2027-01-05T12:00:00Z');
  });
});

describe('maxAge', () => {
  const rotated = { rotatedAt: '2026-11-21T00:00:00Z', lastRunAt: '2026-11-20T23:59:00Z' };
  test('comes before a cron that is later', () => {
    expect(due({ cron: '0 0 1 6 *', maxAge: '30d' }, facts(rotated))).toBe('2026-12-21T00:00:00Z');
  });
  test('yields to a cron that is earlier', () => {
    expect(due({ cron: '0 3 * * *', maxAge: '30d' }, facts(rotated))).toBe('2026-11-21T03:00:00Z');
  });
  test('uses the last window before the limit', () => {
    const windows = [{ from: '01:00', to: '02:00', days: ['Sun' as const] }];
    expect(due({ maxAge: '30d', windows }, facts(rotated))).toBe('2026-12-20T01:00:00Z');
  });
  test('beats windows when none opens in time', () => {
    const windows = [{ from: '01:00', to: '02:00', days: ['Sat' as const] }];
    const result = nextDue(
      scheduleSchema.parse({ maxAge: '2d', windows }),
      facts({ rotatedAt: '2026-11-21T03:00:00Z', now: '2026-11-21T04:00:00Z' }),
    );
    expect(result.at?.toISOString()).toBe('2026-11-23T03:00:00.000Z');
    expect(result.reason).toBe('maxAge 2d, outside the windows');
  });
  test('does not renew again and again in a window that is still open', () => {
    const given = facts({ rotatedAt: '2026-11-21T22:30:00Z', now: '2026-11-21T22:31:00Z' });
    expect(due({ maxAge: '20h', windows: [NIGHT] }, given)).toBe('2026-11-22T18:30:00Z');
  });
  test('yields to blackouts, before them when that is possible', () => {
    const blackouts = [{ from: '2026-12-20', to: '2026-12-22' }];
    expect(due({ maxAge: '30d', blackouts }, facts(rotated))).toBe('2026-12-23T00:00:00Z');
    const windows = [NIGHT];
    expect(due({ maxAge: '30d', blackouts, windows }, facts(rotated))).toBe('2026-12-19T22:00:00Z');
  });
  test('an overdue credential whose rotation failed is tried again an hour later', () => {
    const failed = facts({
      rotatedAt: '2026-01-01T00:00:00Z',
      lastRunAt: '2026-11-21T10:00:00Z',
      now: '2026-11-21T10:05:00Z',
    });
    expect(due({ maxAge: '30d' }, failed)).toBe('2026-11-21T11:00:00Z');
  });
});

describe('pairs', () => {
  const apart = (running: boolean, lastEndedAt?: string): ScheduleFacts => ({
    ...facts({ now: '2026-11-21T03:00:00Z' }),
    apart: {
      atLeastMs: 3_600_000,
      peers: [{ name: 'other', running, lastEndedAt: lastEndedAt ? new Date(lastEndedAt) : undefined }],
    },
  });
  test('a policy waits for the distance after its pair has ended', () => {
    expect(due({ every: '3h' }, apart(false, '2026-11-21T02:50:00Z'))).toBe('2026-11-21T03:50:00Z');
    expect(due({ every: '3h', maxAge: '1h' }, apart(false, '2026-11-21T02:50:00Z'))).toBe(
      '2026-11-21T03:50:00Z',
    );
  });
  test('and longer while its pair is running', () => {
    expect(due({ every: '3h' }, apart(true))).toBe('2026-11-21T04:00:00Z');
  });
  test('but not for a pair that never ran', () => {
    expect(due({ every: '3h' }, apart(false))).toBe('2026-11-21T03:00:00Z');
  });
});

describe('never', () => {
  test('without a schedule', () => {
    expect(nextDue(undefined, facts()).reason).toBe('no schedule: rotates only when asked');
  });
  test('while suspended, even past maxAge', () => {
    const schedule = scheduleSchema.parse({ maxAge: '1d' });
    expect(
      nextDue(schedule, { ...facts({ now: '2027-11-21T00:00:00Z' }), suspended: true }).at,
    ).toBeUndefined();
  });
  test('when the blackout lasts for all of time', () => {
    const schedule = { ...scheduleSchema.parse({ every: '1h', windows: [NIGHT] }) };
    schedule.blackouts = [{ from: 0, to: Number.POSITIVE_INFINITY, reason: undefined }];
    expect(nextDue(schedule, facts()).at).toBeUndefined();
  });
});

describe('jitter', () => {
  test('is the same for one policy and occurrence, and differs between policies', () => {
    expect(jitterOf('a', 1, 3_600_000)).toBe(jitterOf('a', 1, 3_600_000));
    expect(jitterOf('a', 1, 3_600_000)).not.toBe(jitterOf('b', 1, 3_600_000));
    expect(jitterOf('a', 1, 0)).toBe(0);
  });
  test('is spread evenly', () => {
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i += 1) {
      const bucket = jitterOf(`policy-${i}`, 7, 999) / 100;
      buckets[Math.floor(bucket)] = (buckets[Math.floor(bucket)] ?? 0) + 1;
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
  test('spreads the runs that wait for one window over that window', () => {
    const starts = Array.from({ length: 50 }, (_, i) =>
      nextDue(scheduleSchema.parse({ cron: '0 12 * * *', jitter: '1h', windows: [NIGHT] }), {
        ...facts(),
        policyUid: `policy-${i}`,
      }),
    );
    expect(new Set(starts.map((each) => each.at?.getTime())).size).toBeGreaterThan(45);
  });
});

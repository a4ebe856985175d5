import { expect, test } from 'vitest';
import { scheduleSchema } from '../../schedule/schedule.ts';
import { scheduleOf } from './schedule.ts';

test.each([
  [{ AutomaticallyAfterDays: 30 }, { every: '30d' }],
  [{ ScheduleExpression: 'rate(10 days)' }, { every: '10d' }],
  [
    { ScheduleExpression: 'rate(1 day)', Duration: '3h' },
    { every: '1d', jitter: '3h' },
  ],
  [{ ScheduleExpression: 'rate(6 hours)' }, { every: '6h' }],
  [{ ScheduleExpression: 'cron(0 16 1,15 * ? *)' }, { cron: '0 16 1,15 * *', timeZone: 'UTC' }],
  [
    { ScheduleExpression: 'cron(0 0 ? * 1 *)', Duration: '2h' },
    { cron: '0 0 * * 0', timeZone: 'UTC', jitter: '2h' },
  ],
  [{ ScheduleExpression: 'cron(0 /4 * * ? *)' }, undefined],
  [{ ScheduleExpression: 'cron(0 0/4 ? * 2-6 *)' }, { cron: '0 0/4 * * 1-5', timeZone: 'UTC' }],
  [{ ScheduleExpression: 'cron(0 8 ? * 2#1 *)' }, { cron: '0 8 * * 1#1', timeZone: 'UTC' }],
  [{ ScheduleExpression: 'cron(0 8 1W * ? *)' }, undefined],
  [{ ScheduleExpression: 'cron(0 8 1 * ? 2027)' }, undefined],
  [{ ScheduleExpression: 'whenever' }, undefined],
  [undefined, undefined],
])('%j is %j here', (rules, expected) => {
  const { schedule, open } = scheduleOf(rules);
  expect(schedule).toEqual(expected);
  expect(open).toHaveLength(expected ? 0 : 1);
  if (schedule) scheduleSchema.parse(schedule);
});

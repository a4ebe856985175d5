import { parseDuration } from '../../../core/duration.ts';
import { cronProblem } from '../../schedule/cron.ts';

/** `RotationRules` of a secret, as Secrets Manager has them. */
export interface RotationRules {
  readonly AutomaticallyAfterDays?: number | undefined;
  readonly Duration?: string | undefined;
  readonly ScheduleExpression?: string | undefined;
}

export interface ImportedSchedule {
  /** `schedule` of a policy; undefined when it is open. */
  readonly schedule: Readonly<Record<string, string>> | undefined;
  readonly open: readonly string[];
}

/**
 * A schedule of Secrets Manager (docs.aws.amazon.com, "Schedule expressions in Secrets Manager rotation") as ours. AWS rotates
 * at any time within the window, which is what jitter does; its cron runs in UTC. Pure.
 */
export function scheduleOf(rules: RotationRules | undefined): ImportedSchedule {
  const { AutomaticallyAfterDays: days, Duration, ScheduleExpression: expression } = rules ?? {};
  const window = Duration?.toLowerCase();
  const jitter = window !== undefined && parseDuration(window) !== undefined ? { jitter: window } : {};
  if (expression === undefined)
    return days === undefined
      ? open('spec.schedule: the secret has no rotation rules')
      : { schedule: { every: `${days}d`, ...jitter }, open: [] };
  const [, count, unit] = /^rate\(\s*(\d+)\s+(hour|day)s?\s*\)$/i.exec(expression) ?? [];
  if (count && unit)
    return { schedule: { every: `${count}${unit === 'hour' ? 'h' : 'd'}`, ...jitter }, open: [] };
  const fields = /^cron\(\s*(.+?)\s*\)$/i.exec(expression)?.[1]?.split(/\s+/) ?? [];
  const cron = fields.length === 6 ? fromAws(fields) : undefined;
  if (cron === undefined || cronProblem(cron) !== undefined)
    return open(`spec.schedule: ${expression} of AWS has no like here; docs/schedules.md has what there is`);
  return { schedule: { cron, timeZone: 'UTC', ...jitter }, open: [] };
}

const open = (why: string): ImportedSchedule => ({ schedule: undefined, open: [why] });

/** Minutes, hours, day of month, month, day of week (1 is Sunday), year. */
function fromAws([minute, hour, day, month, weekday, year]: readonly string[]): string | undefined {
  if (year !== '*') return undefined;
  const any = (field: string | undefined) => (field === '?' ? '*' : field);
  const named = any(weekday)?.replaceAll(/(?<![#/\d])\d+/g, (text) => String(Number(text) - 1));
  return [minute, hour, any(day), month, named].join(' ');
}

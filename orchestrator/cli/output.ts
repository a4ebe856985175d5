import Table from 'cli-table3';
import { stringify } from 'yaml';
import { formatDuration } from '../../core/duration.ts';
import { asRotorError } from '../../core/errors.ts';

export type Format = 'table' | 'json' | 'yaml';

/** Prints a result in the asked form; `table` decides what people see of it. */
export function print(format: Format, value: unknown, table: () => string): void {
  const text =
    format === 'json'
      ? JSON.stringify(value, null, 2)
      : format === 'yaml'
        ? stringify(value).trimEnd()
        : table();
  process.stdout.write(`${text}\n`);
}

export function tableOf(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  };
  const table = new Table({
    head: head.map((title) => title.toUpperCase()),
    chars: none,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows)
    table.push(row.map((cell) => (cell === undefined || cell === null ? '-' : String(cell))));
  return table.toString();
}

/** `3m 20s ago`, `in 2h`, for a time as the API gives it. */
export function relative(time: string | undefined, now: Date): string {
  if (!time) return '-';
  const ms = new Date(time).getTime() - now.getTime();
  return ms < 0 ? `${formatDuration(ms)} ago` : `in ${formatDuration(ms)}`;
}

/** What went wrong and what to do next, on standard error; never a stack trace. */
export function complain(thrown: unknown): void {
  const { code, message, hint } = asRotorError(thrown, 'the command');
  process.stderr.write(`error ${code}: ${message}\n  next: ${hint}\n`);
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What one process of a client pod has done in its whole life. */
export interface Report {
  readonly pod: string;
  /** The Deployment's name. */
  readonly app: string;
  readonly user: string;
  /** As its Secret said when it started. */
  readonly version: string;
  readonly queries: number;
  readonly failures: number;
  readonly lastFailure?: string;
  /** When its first query failed, and its last: epoch milliseconds. */
  readonly failedMs?: readonly [number, number];
  /** It has ended in order, so that its numbers are final. */
  readonly ended: boolean;
}

/** The reports of all processes of client pods, those that are gone included. */
export async function readReports(folder: string): Promise<readonly Report[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Report),
  );
}

export interface Totals {
  /** Processes of client pods. */
  readonly count: number;
  readonly queries: number;
  readonly failures: number;
  /** Those that haven't ended in order (yet). */
  readonly running: readonly string[];
  readonly lastFailures: readonly string[];
}

export function totalsOf(reports: readonly Report[]): Totals {
  const sum = (of: (report: Report) => number) => reports.reduce((total, each) => total + of(each), 0);
  return {
    count: reports.length,
    queries: sum(({ queries }) => queries),
    failures: sum(({ failures }) => failures),
    running: reports.filter(({ ended }) => !ended).map(({ pod }) => pod),
    lastFailures: reports.flatMap(({ pod, lastFailure }) =>
      lastFailure === undefined ? [] : `${pod}: ${lastFailure}`,
    ),
  };
}

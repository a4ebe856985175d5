import type { AppName } from './app-names.ts';
import { type Report, totalsOf } from './reports.ts';

/** A leak of the story, as the demo has seen it from outside: by real logins, not by Rotor's word. */
export interface IncidentFacts {
  readonly id: string;
  /** Id of the rotation that answered. */
  readonly rotation: string;
  readonly app: AppName;
  /** Of `/v1/hooks/<source>`. */
  readonly source: string;
  readonly mode: 'revoke-first' | 'overlap';
  /** As the story wants it. */
  readonly expected: 'revoke-first' | 'overlap';
  /** The credential that was reported was accepted right before. */
  readonly valid: boolean;
  /** From the moment when the report was sent to the first login with the leaked credential that was refused. */
  readonly timeToContainMs: number | undefined;
  /** To the first login that was refused because there is no such password any more: it can't be enabled again. */
  readonly timeToRevokeMs: number | undefined;
  /** Until the session ended of somebody who was logged in before the report. */
  readonly intruderCutMs?: number | undefined;
  /** In the end, when everything had been proven by Rotor's word. */
  readonly oldRefused: boolean;
  readonly newAccepted: boolean;
}

/** An incident as `--json` prints it, with what its clients went through. */
export function incidentSummary(facts: IncidentFacts, reports: readonly Report[]) {
  const { expected: _expected, timeToContainMs, timeToRevokeMs, intruderCutMs, ...rest } = facts;
  return {
    ...rest,
    timeToContainMs: rounded(timeToContainMs),
    timeToRevokeMs: rounded(timeToRevokeMs),
    ...('intruderCutMs' in facts ? { intruderCutMs: rounded(intruderCutMs) } : {}),
    clients: outageOf(reports.filter(({ app }) => app === facts.app)),
  };
}

export interface Outage {
  readonly count: number;
  readonly queries: number;
  readonly failures: number;
  /** From the first query that failed to the last one, whichever pod's: 0 when none did. */
  readonly outMs: number;
}

export function outageOf(reports: readonly Report[]): Outage {
  const { count, queries, failures } = totalsOf(reports);
  const failed = reports.flatMap(({ failedMs }) => failedMs ?? []);
  const outMs = failed.length === 0 ? 0 : Math.max(...failed) - Math.min(...failed);
  return { count, queries, failures, outMs };
}

/** What isn't as promised, in words. */
export function brokenBy(facts: IncidentFacts): readonly string[] {
  const { app, mode, expected, valid, timeToContainMs, timeToRevokeMs, oldRefused, newAccepted } = facts;
  const cut = !('intruderCutMs' in facts) || facts.intruderCutMs !== undefined;
  const checks: readonly (readonly [boolean, string])[] = [
    [valid, `the credential of ${app} that was reported did not work in the first place`],
    [mode === expected, `the leak of ${app} was answered ${mode} instead of ${expected}`],
    [
      timeToContainMs !== undefined && oldRefused,
      `the leaked credential of ${app} was not refused in real logins`,
    ],
    [timeToRevokeMs !== undefined, `the leaked password of ${app} is still there`],
    [cut, `a session with the leaked credential of ${app} is still open`],
    [newAccepted, `the new credential of ${app} is not accepted`],
  ];
  return checks.flatMap(([holds, otherwise]) => (holds ? [] : [otherwise]));
}

/** One line for people. */
export function incidentText(facts: IncidentFacts, reports: readonly Report[]): string {
  const { app, mode, timeToContainMs, timeToRevokeMs, clients } = incidentSummary(facts, reports);
  const seconds = (ms: number | undefined) => (ms === undefined ? 'NEVER' : `${(ms / 1_000).toFixed(2)} s`);
  const out =
    clients.failures === 0
      ? 'no query failed'
      : `its clients were out for ${seconds(clients.outMs)} (${clients.failures} failures)`;
  return `${app}, ${mode}: refused after ${seconds(timeToContainMs)}, password gone after ${seconds(timeToRevokeMs)}; ${out}`;
}

function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms);
}

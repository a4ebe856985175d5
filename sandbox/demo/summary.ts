import type { Verdict } from '../../ledger/audit.ts';
import type { RotationJson } from '../../orchestrator/cli/follow.ts';
import type { Pod } from '../controllers/client/wire.ts';
import { isReady } from '../controllers/pod-facts.ts';
import { brokenBy, type IncidentFacts, incidentSummary, incidentText } from './incident.ts';
import { type Report, totalsOf } from './reports.ts';
import { APPS, type App } from './workloads.ts';

/** One rotation of the story, with the pods of its application before and after. */
export interface Chapter {
  readonly app: App;
  readonly rotation: RotationJson;
  readonly before: readonly Pod[];
  readonly after: readonly Pod[];
  /** What it answers, when that was a leak. */
  readonly leak?: IncidentFacts;
}

export interface RolloutSummary {
  /** Id of the rotation. */
  readonly rotation: string;
  readonly consumer: string;
  readonly strategy: 'rolling' | 'blueGreen';
  readonly result: 'done' | 'rolled-back' | 'failed';
  /** Those that Rotor has seen on the new version, or, rolled back, on the one of before. */
  readonly pods: readonly { readonly name: string; readonly onVersion: boolean; readonly ready: boolean }[];
  /** The very pods that ran before still run: none was replaced or restarted. */
  readonly untouched: boolean;
}

export interface PodSummary {
  readonly name: string;
  /** Its Deployment. */
  readonly workload: string;
  /** Of the credential that its process has logged in with, by its own account. */
  readonly version: string;
  readonly ready: boolean;
}

export interface Facts {
  readonly chapters: readonly Chapter[];
  readonly pods: readonly PodSummary[];
  readonly reports: readonly Report[];
  /** By the database's own account, of those that aren't counted apart: each query of a client makes one. */
  readonly orders: number;
  readonly audit: Verdict;
  readonly seconds: number;
}

/** The summary as `--json` prints it. */
export function summaryOf({ chapters, pods, reports, audit, seconds }: Facts) {
  const { count, queries, failures } = totalsOf(countedTogether(reports));
  return {
    clients: { count, queries, failures },
    cluster: { pods, rollouts: chapters.map(rolloutOf) },
    rotations: chapters.map(({ rotation }) => {
      const { id, policy, trigger, state, recovered, durationMs, steps, proof, error } = rotation;
      return { id, policy, trigger, state, recovered, durationMs, steps, proof, error };
    }),
    incidents: chapters.flatMap(({ leak }) => (leak ? [incidentSummary(leak, reports)] : [])),
    audit,
    seconds,
  };
}

/** Without the clients of a credential that is revoked before they have another. */
export function countedTogether(reports: readonly Report[]): readonly Report[] {
  const apart = APPS.filter((app) => app.apart).map(({ name }) => name as string);
  return reports.filter(({ app }) => !apart.includes(app));
}

/** The pods that run now, with the version that each process says it has. */
export function podsOf(app: App, pods: readonly Pod[], reports: readonly Report[]): readonly PodSummary[] {
  return pods.map((pod) => ({
    name: pod.metadata.name,
    workload: app.name,
    version: reports.findLast((report) => report.pod === pod.metadata.name)?.version ?? 'unknown',
    ready: isReady(pod),
  }));
}

export function rolloutOf({ app, rotation, before, after }: Chapter): RolloutSummary {
  const { id, state, steps } = rotation;
  const direction = state === 'rolled-back' ? 'back' : 'forward';
  const step = steps.findLast((each) => each.step === 'rollout' && each.direction === direction);
  const proofs = (step?.facts.proofs ?? []) as readonly {
    readonly pods?: RolloutSummary['pods'];
  }[];
  return {
    rotation: id,
    consumer: app.name,
    strategy: app.strategy,
    result: state === 'done' || state === 'rolled-back' ? state : 'failed',
    pods: proofs.flatMap(({ pods = [] }) => pods).filter(({ onVersion }) => onVersion),
    untouched: identities(before) === identities(after),
  };
}

/** A pod that was replaced has another uid, one whose container was started again another count. */
function identities(pods: readonly Pod[]): string {
  return pods
    .map(({ metadata, status }) => {
      const restarts = status?.containerStatuses?.map(({ restartCount }) => restartCount);
      return `${metadata.uid} ${status?.startTime} ${restarts}`;
    })
    .sort()
    .join();
}

/** How the six chapters end when Rotor keeps its promises. */
const EXPECTED = ['done', 'done', 'rolled-back', 'done', 'done', 'done'];
/** In the fourth, a worker is killed. */
const KILLED = 3;
const LEAKS = 2;
const ENOUGH_QUERIES = 1_000;

/** What isn't as promised, in words; empty when everything is. In the end all pods have ended, and said their last numbers. */
export function broken(facts: Facts, when: 'so far' | 'in the end'): readonly string[] {
  const { chapters, pods, reports, orders, audit } = facts;
  const { queries, failures, lastFailures } = totalsOf(countedTogether(reports));
  const { running } = totalsOf(reports);
  const leaks = chapters.flatMap(({ leak }) => leak ?? []);
  const rolledBack = chapters.map(rolloutOf).filter(({ result }) => result === 'rolled-back');
  const checks: readonly (readonly [boolean, string])[] = [
    [
      chapters.map(({ rotation }) => rotation.state).join() === EXPECTED.join(),
      `the rotations should have ended ${EXPECTED.join(', ')}`,
    ],
    [
      chapters[KILLED]?.rotation.recovered === true,
      'no other worker took over the rotation of the one that was killed',
    ],
    [failures === 0, `queries failed: ${lastFailures.join('; ')}`],
    [queries > ENOUGH_QUERIES, `${queries} queries are too few to say anything`],
    [
      when === 'so far' || running.length === 0,
      `pods that never said their last number: ${running.join(', ')}`,
    ],
    [
      when === 'so far' || orders === queries,
      `the clients have counted ${queries} orders, the database ${orders}`,
    ],
    [isProven(chapters), 'a rotation is done without a proof'],
    [leaks.length === LEAKS, `${LEAKS} leaks should have been answered`],
    ...leaks.flatMap(brokenBy).map((problem) => [false, problem] as const),
    [
      rolledBack.every(({ untouched }) => untouched),
      'the pods of before were touched by a rollout that failed',
    ],
    ...chapters.map(
      ({ app }) =>
        [
          pods.filter((pod) => isOnCurrent(pod, app, chapters)).length === app.replicas,
          `not all pods of ${app.name} are on the current version`,
        ] as const,
    ),
    [audit.verified, 'the audit trail is broken'],
  ];
  return [...new Set(checks.flatMap(([holds, otherwise]) => (holds ? [] : [otherwise])))];
}

function isOnCurrent(
  { workload, version, ready }: PodSummary,
  app: App,
  chapters: readonly Chapter[],
): boolean {
  const latest = chapters.findLast((each) => each.app === app && each.rotation.state === 'done');
  return workload === app.name && ready && version === latest?.rotation.newVersion;
}

function isProven(chapters: readonly Chapter[]): boolean {
  return chapters
    .filter(({ rotation }) => rotation.state === 'done')
    .every(({ rotation: { proof } }) => proof?.oldRefused && proof.newAccepted);
}

function statesOf(chapters: readonly Chapter[]): readonly string[] {
  return chapters.map(({ rotation: { state, recovered } }) => `${state}${recovered ? ' and recovered' : ''}`);
}

/** The summary for people. */
export function summaryText(facts: Facts, problems: readonly string[]): string {
  const { chapters, pods, reports, audit, seconds } = facts;
  const { count, queries, failures } = totalsOf(countedTogether(reports));
  const leaks = chapters.flatMap(({ leak }) => (leak ? [incidentText(leak, reports)] : []));
  const apart = APPS.filter((app) => app.apart).map(({ name }) => name);
  const apps = [...new Set(chapters.map(({ app }) => app))];
  const workloads = apps.map((app) => {
    const current = pods.filter((pod) => isOnCurrent(pod, app, chapters)).length;
    return `${app.name} ${current} of ${app.replicas}`;
  });
  const untouched = chapters.some((chapter) => {
    const { result, untouched: same } = rolloutOf(chapter);
    return result === 'rolled-back' && same;
  });
  return `
rotations   ${statesOf(chapters).join(', ')}
pods        ${workloads.join(', ')}, ready on the current credential${untouched ? '; the failed rollout touched none' : ''}
clients     ${count} pods in all, ${queries} queries, ${failures} failures; ${apart.join()} is counted apart
leaks       ${leaks.join('\n            ')}
proofs      ${isProven(chapters) ? 'every old credential was refused, every new one accepted' : 'MISSING'}
audit       ${audit.verified ? `verified, ${audit.rows} rows` : `BROKEN: ${audit.broken}`}
took        ${seconds} s
${problems.length === 0 ? 'All as promised.' : `NOT as promised:\n  ${problems.join('\n  ')}`}`;
}

import { formatDuration } from '../../core/duration.ts';
import type { KindSpec, PolicySpec } from '../manifests/manifest.ts';
import type { PolicyView } from '../operations/describe.ts';
import type { Schedule } from '../schedule/schedule.ts';
import { relative, tableOf } from './output.ts';

/** As JSON carries it: times are text, and what is undefined is left out. */
type Told<T, Key extends keyof T> = {
  readonly [K in Key as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> extends Date
    ? string
    : T[K];
} & { readonly [K in Key as undefined extends T[K] ? never : K]: T[K] extends Date ? string : T[K] };

/** A policy as the API gives it, as far as people are shown it. */
export type PolicyJson = Told<
  PolicyView,
  'namespace' | 'name' | 'paused' | 'credentialAgeSeconds' | 'lastRotatedAt' | 'nextDueAt' | 'dueReason'
> & {
  readonly spec: PolicySpec;
  readonly drift?: { readonly open?: readonly string[] };
  readonly versions: readonly Told<
    PolicyView['versions'][number],
    'id' | 'state' | 'identity' | 'compromised' | 'createdAt' | 'revokedAt'
  >[];
  readonly rotations: readonly Told<
    PolicyView['rotations'][number],
    'id' | 'state' | 'trigger' | 'startedAt' | 'createdAt' | 'durationMs'
  >[];
};

/** What `rotor describe policy` shows to people: what is rotated, when, for whom, and what became of it. */
export function policyText(policy: PolicyJson, now: Date): string {
  const { spec } = policy;
  const age =
    policy.credentialAgeSeconds === undefined
      ? 'none yet'
      : `current for ${formatDuration(policy.credentialAgeSeconds * 1_000)}`;
  const lines: readonly (readonly [string, string | readonly string[]])[] = [
    ['policy', `${policy.namespace}/${policy.name}${stopped(policy)}`],
    ['credential', `${said(spec.credential)}; ${age}`],
    ...(spec.provider === undefined ? [] : [['provider', spec.provider] as const]),
    ['store', `${spec.store.name}, path ${spec.store.path}`],
    ['delivered to', spec.deliver.map(said)],
    ['consumers', spec.consumers.map((consumer) => `${consumer.name}: ${said(consumer)}`)],
    ['schedule', spec.schedule ? scheduled(spec.schedule) : 'none: on demand, or for an incident'],
    ['next', policy.nextDueAt ? `${relative(policy.nextDueAt, now)} (${policy.dueReason ?? 'due'})` : '-'],
    ['last rotated', relative(policy.lastRotatedAt, now)],
    ['old one dies', settled(spec.settle)],
    ['when it leaks', spec.onCompromise ? `runbook ${spec.onCompromise.runbook}` : 'the built-in runbook'],
    ['drift', [spec.drift ?? 'repair', ...(policy.drift?.open ?? [])]],
  ];
  return [
    ...lines.flatMap(([title, value]) => lineOf(title, value)),
    '',
    policy.versions.length === 0 ? 'no versions yet' : versionsTable(policy, now),
    '',
    policy.rotations.length === 0 ? 'no rotations yet' : rotationsTable(policy, now),
  ].join('\n');
}

function stopped({ paused, spec }: PolicyJson): string {
  if (spec.suspend) return ' (suspended by its manifest)';
  return paused ? ' (paused: rotor resume lets it go on)' : '';
}

function lineOf(title: string, value: string | readonly string[]): readonly string[] {
  const [first = 'none', ...others] = typeof value === 'string' ? [value] : value;
  return [`${title.padEnd(14)}${first}`, ...others.map((other) => `${' '.repeat(14)}${other}`)];
}

/** A kind and its settings on one line: `file path=/run/db.json`. Manifests hold references, never secrets. */
function said({ kind, spec }: KindSpec): string {
  const settings = typeof spec === 'object' && spec !== null ? Object.entries(spec) : [];
  return [kind, ...settings.map(([name, value]) => `${name}=${flat(value)}`)].join(' ');
}

function flat(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function scheduled({ cron, every, timeZone, jitter, windows, blackouts, maxAge }: Schedule): string {
  return [
    ...(cron === undefined ? [] : [`cron ${cron} (${timeZone})`]),
    ...(every === undefined ? [] : [`every ${formatDuration(every)}`]),
    ...(maxAge === undefined ? [] : [`at most ${formatDuration(maxAge)} old`]),
    ...(jitter > 0 ? [`up to ${formatDuration(jitter)} later`] : []),
    ...(windows.length > 0 ? [`in ${windows.length} windows`] : []),
    ...(blackouts.length > 0 ? [`not in ${blackouts.length} blackouts`] : []),
  ].join(', ');
}

function settled({ graceMs, evidence, timeoutMs, onTimeout }: PolicySpec['settle']): string {
  const seen = evidence === 'time-only' ? 'without evidence' : 'once nobody is seen using it';
  const then = onTimeout === 'roll-back' ? 'rolls back' : 'asks a human';
  return `${seen}, after ${formatDuration(graceMs)} at least; ${then} after ${formatDuration(timeoutMs)}`;
}

function versionsTable({ versions }: PolicyJson, now: Date): string {
  return tableOf(
    ['version', 'state', 'identity', 'made', 'revoked'],
    versions.map(({ id, state, identity, compromised, createdAt, revokedAt }) => [
      id,
      compromised ? `${state}, leaked` : state,
      identity || '-',
      relative(createdAt, now),
      relative(revokedAt, now),
    ]),
  );
}

function rotationsTable({ rotations }: PolicyJson, now: Date): string {
  return tableOf(
    ['rotation', 'trigger', 'state', 'started', 'took'],
    rotations.map(({ id, trigger, state, startedAt, createdAt, durationMs }) => [
      id,
      trigger,
      state,
      relative(startedAt ?? createdAt, now),
      durationMs === undefined ? '-' : formatDuration(durationMs),
    ]),
  );
}

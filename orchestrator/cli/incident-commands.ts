import { text } from 'node:stream/consumers';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import type { IncidentView, TargetView } from '../incidents/describe.ts';
import type { Preview } from '../incidents/dry-run.ts';
import { SEVERITIES } from '../intake/report.ts';
import type { Taken } from '../intake/take.ts';
import { qualified } from '../operations/orchestrator.ts';
import { type ApiClient, apiClient } from './client.ts';
import { type Format, print, tableOf } from './output.ts';
import { previewText, stepsText } from './runbook-text.ts';

const format = (command: Command): Format => command.optsWithGlobals().output as Format;
const LOOK_MS = 200;

export function registerIncidentCommands(program: Command): void {
  program
    .command('respond [policy]')
    .description(
      'Answer a leak now: of a policy, or of a secret read from standard input, never from an argument. With --wait exit 0 when proven dead',
    )
    .option('--secret-stdin', 'read the leaked value from standard input and find whose it is')
    .requiredOption('--reason <text>', 'why, for the audit trail')
    .addOption(new Option('--severity <level>', 'how bad it is').choices([...SEVERITIES]).default('critical'))
    .option('--wait', 'follow it until it ends')
    .option('--dry-run', 'tell what would be done, step by step, and do nothing')
    .action(async (policy: string | undefined, options: RespondOptions, command) => {
      if ((policy === undefined) === (options.secretStdin !== true))
        throw new InvalidArgumentError('name a policy, or say --secret-stdin');
      const secret = options.secretStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : undefined;
      const api = apiClient();
      const said = {
        ...(policy ? { policy: qualified(policy) } : {}),
        ...(secret === undefined ? {} : { secret }),
        reason: options.reason,
        severity: options.severity,
      };
      if (options.dryRun) {
        const dry = await api.post<{ previews: Preview[] }>('/v1/respond?dryRun=true', said);
        return print(format(command), dry, () => previewText(dry.previews));
      }
      const taken = await api.post<Taken>('/v1/respond', said);
      if (!options.wait) return print(format(command), taken, () => takenText(taken));
      process.stderr.write(`${takenText(taken)}\n`);
      return report(await followIncident(api, taken.incidents[0] ?? ''), format(command));
    });
}

interface RespondOptions {
  readonly secretStdin?: boolean;
  readonly reason: string;
  readonly severity: string;
  readonly wait?: boolean;
  readonly dryRun?: boolean;
}

function takenText({ incidents, decisions }: Taken): string {
  const what = decisions.map(({ policy, answer }) => `  ${policy}: ${ANSWERS[answer]}`);
  if (what.length === 0) what.push('  no credential of ours: nothing to rotate');
  return [`incident/${incidents[0]}`, ...what].join('\n');
}

const ANSWERS = {
  rotate: 'rotates now',
  prove: 'was revoked already; its proof is looked up',
  watch: 'is named, but nothing proves a leak: put on record',
} as const;

/** Follows an incident until it ends, with a stopwatch on standard error. */
export async function followIncident(api: ApiClient, id: string): Promise<IncidentView> {
  const seen = new Set<string>();
  for (;;) {
    const incident = await api.get<IncidentView>(`/v1/incidents/${id}`);
    for (const target of incident.targets) {
      for (const [what, at] of Object.entries(target.timeline)) {
        if (!at || seen.has(`${target.policy} ${what}`)) continue;
        seen.add(`${target.policy} ${what}`);
        const ms = new Date(at).getTime() - new Date(incident.openedAt).getTime();
        process.stderr.write(`${formatDuration(Math.max(0, ms)).padStart(8)}  ${target.policy} ${what}\n`);
      }
    }
    const stuck = incident.targets.some(({ rotation }) => rotation?.state === 'needs-human');
    if (incident.endedAt || incident.targets.length === 0 || stuck) return incident;
    await systemClock.sleep(LOOK_MS);
  }
}

export function report(incident: IncidentView, as: Format): void {
  print(as, incident, () => incidentText(incident));
  const good = incident.targets.every(({ result }) => result === 'proven' || result === 'noted');
  if (!good) process.exitCode = 1;
}

export function incidentText(incident: IncidentView): string {
  const { id, state, severity, openedBy, targets, reports } = incident;
  const rows = targets.map((target) => [
    target.policy,
    target.matchedBy.join(', '),
    target.answer,
    stateOf(target),
    proofText(target),
    target.related.join(', ') || '-',
  ]);
  const table =
    rows.length === 0
      ? 'no credential of ours was in it'
      : tableOf(['credential', 'found by', 'answer', 'state', 'proof', 'shares with'], rows);
  const steps = stepsText(incident);
  return [
    `incident/${id} ${state}, severity ${severity}, ${reports.length} report${reports.length === 1 ? '' : 's'}, opened by ${openedBy}`,
    table,
    ...(steps === '' ? [] : [steps]),
    ...targets.flatMap(({ policy, rotation }) => (rotation?.needs ? [`${policy}: ${rotation.needs}`] : [])),
  ].join('\n');
}

function stateOf({ result, reason, rotation, steps }: TargetView): string {
  if (result) return reason ? `${result}: ${reason}` : result;
  const approval = steps.some(({ kind, state }) => kind === 'approve' && state === 'waiting');
  return rotation?.state ?? (approval ? 'waiting for approval' : 'waiting');
}

function proofText({ proof, timeline }: TargetView): string {
  if (!proof) return '-';
  const ms = timeline.proven && new Date(timeline.proven).getTime() - new Date(timeline.reported).getTime();
  const after = ms === undefined ? '' : ` after ${formatDuration(ms)}`;
  return `old ${proof.oldRefused ? 'refused' : 'did not exist'}, new ${proof.newAccepted ? 'accepted' : 'REFUSED'}${after}`;
}

export async function describedIncident(name: string): Promise<IncidentView> {
  return apiClient().get<IncidentView>(`/v1/incidents/${incidentId(name)}`);
}

/** `incident/<id>` or the id alone. @throws RotorError `api.invalid` */
export function incidentId(name: string): string {
  const id = name.replace(/^incident\//, '');
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new RotorError('api.invalid', { what: `"${name}" is no incident` });
  return id;
}

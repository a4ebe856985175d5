import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { systemClock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import { qualified } from '../operations/orchestrator.ts';
import { apiClient } from './client.ts';
import { evidenceText } from './evidence-text.ts';
import { type RotationJson, stepLine } from './follow.ts';
import { describedIncident, incidentText } from './incident-commands.ts';
import { type Format, print, relative, tableOf } from './output.ts';
import { type PolicyJson, policyText } from './policy-text.ts';

const format = (command: Command): Format => command.optsWithGlobals().output as Format;
// biome-ignore lint/suspicious/noExplicitAny: rows are shown as they come; the API's answers are described at /openapi.json.
type Row = Readonly<Record<string, any>>;

const KINDS: Readonly<
  Record<string, { head: readonly string[]; row: (item: Row, now: Date) => readonly unknown[] }>
> = {
  policies: {
    head: ['policy', 'paused', 'last rotated', 'next', 'why', 'drift'],
    row: (item, now) => [
      `${item.namespace}/${item.name}`,
      item.paused ? 'yes' : 'no',
      relative(item.lastRotatedAt, now),
      relative(item.nextDueAt, now),
      item.dueReason,
      item.drift?.open?.length > 0 ? item.drift.open.join('\n') : '-',
    ],
  },
  rotations: {
    head: ['rotation', 'policy', 'trigger', 'state', 'step', 'started', 'took'],
    row: (item, now) => [
      item.id,
      item.policy,
      item.trigger,
      item.state,
      item.direction === 'back' ? `undo ${item.step}` : item.step,
      relative(item.startedAt ?? item.createdAt, now),
      item.durationMs === undefined ? '-' : formatDuration(Number(item.durationMs)),
    ],
  },
  providers: {
    head: ['provider', 'kind', 'generation'],
    row: (item) => [`${item.namespace}/${item.name}`, item.spec.kind, item.generation],
  },
  stores: {
    head: ['store', 'kind', 'generation'],
    row: (item) => [`${item.namespace}/${item.name}`, item.spec.kind, item.generation],
  },
  runbooks: {
    head: ['runbook', 'steps', 'generation'],
    row: (item) => [
      `${item.namespace}/${item.name}`,
      item.spec.steps.map(({ kind }: { kind: string }) => kind).join(', '),
      item.generation,
    ],
  },
  incidents: {
    head: ['incident', 'state', 'severity', 'opened by', 'credentials', 'reports', 'opened', 'took'],
    row: (item, now) => [
      item.id,
      item.state,
      item.severity,
      item.openedBy,
      item.targets.map(({ policy }: { policy: string }) => policy).join(', ') || '-',
      item.reports,
      relative(item.openedAt, now),
      item.endedAt === undefined
        ? '-'
        : formatDuration(new Date(item.endedAt).getTime() - new Date(item.openedAt).getTime()),
    ],
  },
  tokens: {
    head: ['token', 'role', 'owner', 'created', 'expires'],
    row: (item, now) => [
      item.name,
      item.role,
      item.owner,
      relative(item.createdAt, now),
      relative(item.expiresAt, now),
    ],
  },
};

export function registerLookCommands(program: Command): void {
  program
    .command('get <kind>')
    .description(`List ${Object.keys(KINDS).join(', ')}`)
    .addOption(new Option('--policy <name>', 'rotations of this policy only'))
    .addOption(
      new Option('--state <state>', 'rotations in this state only').choices([
        'queued',
        'running',
        'waiting',
        'done',
        'rolled-back',
        'needs-human',
      ]),
    )
    .action(async (kind: string, { policy, state }: { policy?: string; state?: string }, command) => {
      const known = KINDS[kind];
      if (!known)
        throw new RotorError('api.invalid', {
          what: `there is no kind "${kind}"`,
          hint: `Kinds: ${Object.keys(KINDS).join(', ')}.`,
        });
      const query = new URLSearchParams({
        ...(policy ? { policy: qualified(policy) } : {}),
        ...(state ? { state } : {}),
      });
      const answer = await apiClient().get<Record<string, Row[]>>(`/v1/${kind}?${query}`);
      const now = systemClock.now();
      const rows = (answer[kind] ?? []).map((item) => known.row(item, now));
      print(format(command), answer, () => (rows.length === 0 ? `no ${kind}` : tableOf(known.head, rows)));
    });

  program
    .command('describe <kind> <name>')
    .description('Everything that is known of a policy, a rotation or an incident')
    .action(async (kind: string, name: string, _options, command) => {
      const api = apiClient();
      if (kind === 'policy') {
        const policy = await api.get<PolicyJson>(`/v1/policies/${qualified(name)}`);
        return print(format(command), policy, () => policyText(policy, systemClock.now()));
      }
      if (kind === 'incident') {
        const incident = await describedIncident(name);
        return print(format(command), incident, () => incidentText(incident));
      }
      if (kind !== 'rotation')
        throw new RotorError('api.invalid', {
          what: `there is no kind "${kind}"`,
          hint: 'Kinds: policy, rotation, incident.',
        });
      const rotation = await api.get<RotationJson>(`/v1/rotations/${name.replace(/^rotation\//, '')}`);
      return print(format(command), rotation, () => {
        const { steps, evidence, ...rest } = rotation;
        const told = steps.map((step) => {
          // The table below has the proofs.
          const { proofs: _proofs, ...facts } = step.facts;
          return `${stepLine(step)}${Object.keys(facts).length > 0 ? `\n${indented(facts)}` : ''}`;
        });
        const seen = evidence ? `\n${evidenceText(evidence, systemClock.now())}` : '';
        return `${stringify(rest).trimEnd()}\nsteps:\n${told.join('\n')}${seen}`;
      });
    });
}

function indented(facts: object): string {
  return stringify(facts).trimEnd().replace(/^/gm, '    ');
}

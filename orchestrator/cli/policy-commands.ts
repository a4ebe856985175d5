import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../core/duration.ts';
import type { AppliedManifest } from '../operations/apply.ts';
import { qualified } from '../operations/orchestrator.ts';
import type { PlanResult } from '../operations/plan.ts';
import { apiClient } from './client.ts';
import { follow, type RotationJson, stepLine } from './follow.ts';
import { followIncident, report as reportIncident } from './incident-commands.ts';
import { type Format, print } from './output.ts';
import { planText } from './plan-text.ts';

const format = (command: Command): Format => command.optsWithGlobals().output as Format;

/** Exit codes that scripts rely on. */
export const EXIT: Readonly<Record<string, number>> = { done: 0, 'needs-human': 1, 'rolled-back': 3 };

export function registerPolicyCommands(program: Command): void {
  program
    .command('validate')
    .description('Check manifests without a server: every problem with file, line, column and field')
    .requiredOption('-f, --file <path...>', 'files or folders; - reads standard input')
    .action(async ({ file }: { file: string[] }, command) => {
      const { readManifestFiles } = await import('./manifest-files.ts');
      const { manifests } = await readManifestFiles(file);
      print(format(command), { valid: true, manifests: manifests.length }, () =>
        manifests.length === 1 ? '1 manifest is valid' : `${manifests.length} manifests are valid`,
      );
    });

  program
    .command('apply')
    .description('Create or change what the manifests describe, all of it or nothing')
    .requiredOption('-f, --file <path...>', 'files or folders; - reads standard input')
    .option('--dry-run', 'tell what would change and change nothing')
    .action(async ({ file, dryRun }: { file: string[]; dryRun?: boolean }, command) => {
      const { readManifestFiles } = await import('./manifest-files.ts');
      const { text } = await readManifestFiles(file);
      const { applied } = await apiClient().post<{ applied: AppliedManifest[] }>(
        `/v1/apply${dryRun ? '?dryRun=true' : ''}`,
        text,
        'application/yaml',
      );
      print(format(command), { applied }, () =>
        applied.map(({ object, result }) => `${object} ${result}${dryRun ? ' (dry run)' : ''}`).join('\n'),
      );
    });

  program
    .command('plan <policy>')
    .description(
      'What a rotation would do now and what would stop it; changes nothing. Exit 1 when something would',
    )
    .action(async (policy: string, _options, command) => {
      const plan = await apiClient().post<PlanResult>(`/v1/policies/${qualified(policy)}/plan`);
      print(format(command), plan, () => planText(plan));
      if (plan.problems.length > 0) process.exitCode = 1;
    });

  program
    .command('rotate <policy>')
    .description(
      'Start a rotation now. With --wait exit 0 when done, 3 when rolled back, 1 when it needs a human',
    )
    .option('--wait', 'follow it until it ends')
    .option(
      '--timeout <duration>',
      'give up watching after that long; the rotation goes on',
      durationArgument,
    )
    .action(async (policy: string, { wait, timeout }: { wait?: boolean; timeout?: number }, command) => {
      const api = apiClient();
      const { rotation: id } = await api.post<{ rotation: string }>(
        `/v1/policies/${qualified(policy)}/rotate`,
      );
      if (!wait)
        return print(
          format(command),
          { rotation: id },
          () => `rotation/${id} started; follow it with: rotor watch ${id}`,
        );
      return report(await follow(api, id, timeout), format(command));
    });

  program
    .command('watch [name]')
    .description('Follow a rotation, or incident/<id>, until it ends; or all changes')
    .action(async (rotation: string | undefined, _options, command) => {
      const api = apiClient();
      if (rotation?.startsWith('incident/'))
        return reportIncident(await followIncident(api, rotation.slice('incident/'.length)), format(command));
      if (rotation) return report(await follow(api, rotation.replace(/^rotation\//, '')), format(command));
      return watchAll();
    });

  program
    .command('cancel <rotation>')
    .description('Roll a rotation back, unless the old credential is being revoked already')
    .action(async (rotation: string) => {
      await apiClient().post(`/v1/rotations/${rotation.replace(/^rotation\//, '')}/cancel`);
      process.stdout.write('it will roll back; follow it with: rotor watch\n');
    });

  for (const [verb, does] of [
    ['pause', 'No scheduled rotations of a policy, or of all (--all: the emergency stop)'],
    ['resume', 'Scheduled rotations again; or let rotation/<id>, which needed a human, go on'],
  ] as const) {
    program
      .command(`${verb} [name]`)
      .description(does)
      .option('--all', 'all policies')
      .action(async (name: string | undefined, { all }: { all?: boolean }) => {
        if ((name === undefined) === (all !== true))
          throw new InvalidArgumentError('name a policy, or say --all');
        const api = apiClient();
        if (verb === 'resume' && name?.startsWith('rotation/')) {
          await api.post(`/v1/rotations/${name.slice('rotation/'.length)}/resume`);
          process.stdout.write(`${name} goes on; follow it with: rotor watch ${name}\n`);
          return;
        }
        const { changed } = await api.post<{ changed: number }>(
          name === undefined ? `/v1/${verb}` : `/v1/policies/${qualified(name)}/${verb}`,
        );
        process.stdout.write(`${changed} policies ${verb}d\n`);
      });
  }
}

function report(rotation: RotationJson, as: Format): void {
  print(as, rotation, () => {
    const { id, state, error, proof, recovered } = rotation;
    const proven = proof
      ? `; the old credential ${proof.oldRefused ? 'was refused' : 'did not exist'}, the new one accepted`
      : '';
    const lines = [`rotation/${id} ${state}${recovered ? ' (a worker died, another went on)' : ''}${proven}`];
    if (error) lines.push(`  ${error.code}: ${error.what}`, `  next: ${error.hint}`);
    return lines.join('\n');
  });
  process.exitCode = EXIT[rotation.state] ?? 1;
}

async function watchAll(): Promise<void> {
  const api = apiClient();
  const seen = new Map<string, number>();
  process.stderr.write('watching all rotations; stop with Ctrl-C\n');
  for (;;) {
    const { rotations } = await api.get<{ rotations: RotationJson[] }>('/v1/rotations');
    for (const { id, policy, state } of [...rotations].reverse()) {
      const { steps } =
        seen.has(id) || !['done', 'rolled-back'].includes(state)
          ? await api.get<RotationJson>(`/v1/rotations/${id}`)
          : { steps: [] };
      const known = seen.get(id) ?? 0;
      for (const step of steps.slice(known))
        process.stdout.write(`${policy} ${id.slice(0, 8)} ${stepLine(step)}\n`);
      if (['done', 'rolled-back', 'needs-human'].includes(state)) seen.delete(id);
      else seen.set(id, steps.filter((step) => step.state !== 'running').length);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function durationArgument(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('needs a duration such as 30s or 5m');
  return ms;
}

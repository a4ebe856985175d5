import type { Command } from 'commander';
import type { Approved } from '../incidents/approve.ts';
import { qualified } from '../operations/orchestrator.ts';
import { apiClient } from './client.ts';
import { incidentId } from './incident-commands.ts';
import { type Format, print } from './output.ts';

export function registerApproveCommand(program: Command): void {
  program
    .command('approve <incident>')
    .description('Approve what the runbook of an incident waits for: incident/<id>. Each person counts once')
    .option('--policy <name>', 'for this credential only; for all that wait when absent')
    .action(async (name: string, { policy }: { policy?: string }, command: Command) => {
      const { approved } = await apiClient().post<{ approved: Approved[] }>(
        `/v1/incidents/${incidentId(name)}/approvals`,
        policy === undefined ? {} : { policy: qualified(policy) },
      );
      const format = command.optsWithGlobals().output as Format;
      print(format, { approved }, () => approved.map(lineOf).join('\n'));
    });
}

function lineOf({ policy, approvals, needed, released }: Approved): string {
  const count = `${approvals.length} of ${needed} approved`;
  return `${policy}: ${count}${released ? ', it goes on' : ', it waits for more'}`;
}

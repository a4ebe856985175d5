import type { PlanResult } from '../operations/plan.ts';
import { tableOf } from './output.ts';

/** What `rotor plan` shows to people. */
export function planText({ policy, actions, warnings, consumers, readers, problems }: PlanResult): string {
  return [
    `${policy} would:`,
    ...actions.map((action) => `  - ${action}`),
    ...consumersText(consumers),
    ...readersText(readers),
    ...warnings.map((warning) => `warning: ${warning}`),
    ...problems.flatMap(({ code, what, hint }) => [`problem ${code}: ${what}`, `  next: ${hint}`]),
  ].join('\n');
}

function consumersText(consumers: PlanResult['consumers']): readonly string[] {
  if (consumers.length === 0) return [];
  const rows = [...consumers]
    .sort((a, b) => a.wave - b.wave)
    .map(({ consumer, workload, reads, wave, moves, pods }) => [
      workload ?? consumer,
      reads?.join(', '),
      wave,
      moves,
      pods,
    ]);
  return ['', tableOf(['consumer', 'reads it by', 'wave', 'moves', 'pods'], rows), ''];
}

function readersText(readers: PlanResult['readers']): readonly string[] {
  return readers.flatMap(({ secret, cluster, readers: who, indirect, blindSpots }) => {
    const rows = who.map(({ subject, verbs, through }) => [subject, verbs.join(', '), through]);
    const ways = [
      `${indirect.mount} may make pods that mount it`,
      `${indirect.exec} may run commands in pods that have it`,
      `${indirect.impersonate} may act as others`,
      `${indirect.escalate} may give themselves more rights`,
    ];
    return [
      `who else may read secret ${secret} in cluster ${cluster}:`,
      rows.length === 0 ? '  nobody by a role' : tableOf(['who', 'verbs', 'by'], rows),
      `  besides these, ${ways.join(', ')}`,
      ...blindSpots.map((spot) => `  not looked at: ${spot}`),
      '',
    ];
  });
}

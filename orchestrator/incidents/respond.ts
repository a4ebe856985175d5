import { RotorError } from '../../core/errors.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { secretsIn } from '../intake/reading.ts';
import type { Severity } from '../intake/report.ts';
import { type Taken, takeReports } from '../intake/take.ts';
import { type Orchestrator, qualified } from '../operations/orchestrator.ts';

/** What a person reports: a policy, or a leaked secret whose policies are looked for. */
export interface Response {
  readonly policy?: string | undefined;
  readonly secret?: string | undefined;
  readonly reason: string;
  readonly severity: Severity;
}

/**
 * Opens an incident on a person's word.
 * @throws RotorError `ledger.not-found` when there is no such policy, `api.invalid` without policy and secret
 */
export async function respond(
  orchestrator: Orchestrator,
  { policy, secret, reason, severity }: Response,
  actor: string,
): Promise<Taken> {
  if ((policy === undefined) === (secret === undefined))
    throw new RotorError('api.invalid', { what: 'name a policy or a secret, one of the two' });
  const name = policy && qualified(policy);
  if (name) await getPolicy(orchestrator.ledger, name);
  const id = orchestrator.random.uuid();
  const taken = await takeReports(orchestrator, actor, id, [
    {
      about: 'leak',
      type: 'a person’s report',
      reference: `report ${id}`,
      found: secret === undefined ? [] : secretsIn(secret),
      hints: { policy: name },
      severity,
      validity: 'unknown',
      exposure: 'unknown',
    },
  ]);
  await appendAudit(orchestrator.ledger, {
    actor,
    action: 'incident.reason',
    subject: `incident/${taken.incidents[0]}`,
    detail: { reason },
  });
  return taken;
}

import { RotorError } from '../../core/errors.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { secretsIn } from '../intake/reading.ts';
import type { Report, Severity } from '../intake/report.ts';
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
export async function respond(orchestrator: Orchestrator, response: Response, actor: string): Promise<Taken> {
  const id = orchestrator.random.uuid();
  const taken = await takeReports(orchestrator, actor, id, [await reportOf(orchestrator, response, id)]);
  await appendAudit(orchestrator.ledger, {
    actor,
    action: 'incident.reason',
    subject: `incident/${taken.incidents[0]}`,
    detail: { reason: response.reason },
  });
  return taken;
}

/** A person's word as a report. @throws RotorError as {@link respond} */
export async function reportOf(
  orchestrator: Orchestrator,
  { policy, secret, severity }: Response,
  id: string,
): Promise<Report> {
  if ((policy === undefined) === (secret === undefined))
    throw new RotorError('api.invalid', { what: 'name a policy or a secret, one of the two' });
  const name = policy && qualified(policy);
  if (name) await getPolicy(orchestrator.ledger, name);
  return {
    about: 'leak',
    type: 'a person’s report',
    reference: `report ${id}`,
    found: secret === undefined ? [] : secretsIn(secret),
    hints: { policy: name },
    severity,
    validity: 'unknown',
    exposure: 'unknown',
  };
}

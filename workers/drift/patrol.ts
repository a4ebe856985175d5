import { asRotorError } from '../../core/errors.ts';
import { driftTotal } from '../../core/telemetry.ts';
import { claimDriftChecks, type DriftFinding, driftSubject, recordDrift } from '../../ledger/drift.ts';
import { reportOf } from './decide.ts';
import { type Looking, look } from './look.ts';

/** Policies at once in this process: looks are never in a hurry. */
const AT_ONCE = 4;
/** After that another worker may look at the same policy; a look begins nothing in the last part of it. */
const HOLD_MS = 60_000;
const LOOK_MS = 45_000;

/**
 * Looks at every policy whose look is due, each looked at by one worker at a time.
 * @param everyMs distance of two looks at a policy
 * @returns how many were looked at
 */
export async function patrol(looking: Looking, everyMs: number, stop?: AbortSignal): Promise<number> {
  let looked = 0;
  while (!stop?.aborted) {
    const uids = await claimDriftChecks(looking.ledger, AT_ONCE, { everyMs, holdMs: HOLD_MS });
    await Promise.all(uids.map((uid) => lookAtPolicy(looking, uid)));
    looked += uids.length;
    if (uids.length < AT_ONCE) break;
  }
  return looked;
}

async function lookAtPolicy(looking: Looking, uid: string): Promise<void> {
  const { ledger, log } = looking;
  const subject = await driftSubject(ledger, uid);
  if (!subject) return;
  const { policy } = subject;
  let findings: readonly DriftFinding[] | undefined;
  try {
    findings = await look(looking, subject, LOOK_MS);
  } catch (thrown) {
    const error = asRotorError(thrown, 'looking for drift');
    log.warn({ err: error, policy }, 'the deliveries of a policy could not be looked at');
    findings = [{ target: `policy ${policy}`, what: error.message, outcome: 'unknown' }];
  }
  const report = findings && reportOf(policy, findings, subject.open);
  await recordDrift(ledger, uid, report);
  for (const { target, what, outcome, why } of report?.found ?? []) {
    driftTotal().add(1, { result: outcome });
    log.warn(
      { policy, target, what, outcome, ...(why === undefined ? {} : { why }) },
      'a delivery has drifted',
    );
  }
}

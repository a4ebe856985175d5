import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import {
  addReports,
  addTarget,
  dropIncident,
  endIncident,
  type KeptReport,
  openIncident,
  rememberDelivery,
} from '../../ledger/incidents.ts';
import { type LookedFor, type Match, matchCredentials } from '../../ledger/matching.ts';
import { markCompromised } from '../../ledger/versions.ts';
import { answerTarget } from '../incidents/answer.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type Decision, decide, worst } from './decide.ts';
import type { Report } from './report.ts';

export interface Taken {
  /** Incidents that the reports belong to; more than one when some credentials had one already. */
  readonly incidents: readonly string[];
  readonly decisions: readonly Decision[];
  /** For each report whether any credential of ours was in it. */
  readonly known: readonly boolean[];
}

/** A report, what it is looked for by, and what was found. */
interface Read {
  readonly report: Report;
  readonly lookedFor: LookedFor;
  readonly matches: readonly Match[];
}

/**
 * Commits what is reported: the delivery, the incident, its targets and its reports, and for each leaked credential the
 * rotation that answers, in one transaction. What was found is fingerprinted first and destroyed.
 * @param source name of the source, or who says it: `token/alice`
 * @throws RotorError `hook.replayed` when the delivery was taken before
 */
export async function takeReports(
  orchestrator: Orchestrator,
  source: string,
  deliveryId: string,
  reports: readonly Report[],
): Promise<Taken> {
  const { ledger, random } = orchestrator;
  const read = await Promise.all(reports.map((report) => readAndForget(orchestrator, report)));
  const decisions = decide(read);
  const id = random.uuid();
  const severity = worst(reports);
  const wake: string[] = [];
  const incidents = await ledger.transaction(async (transaction) => {
    if (!(await rememberDelivery(transaction, source, deliveryId)))
      throw new RotorError('hook.replayed', { what: `delivery ${deliveryId} of ${source} was taken before` });
    await openIncident(transaction, { id, severity, openedBy: source });
    const belongsTo = await assign(transaction, id, decisions);
    for (const each of belongsTo) await addReports(transaction, each, source, deliveryId, read.map(kept));
    for (const { versionId, answer, revokeInMs } of decisions)
      if (versionId !== undefined && answer === 'rotate')
        await markCompromised(transaction, versionId, revokeInMs);
    for (const decision of decisions) {
      if (decision.answer !== 'rotate') continue;
      const rotation = await answerTarget(
        orchestrator,
        transaction,
        decision.policyUid,
        decision.policy,
        source,
      );
      if (rotation) wake.push(rotation);
    }
    if (decisions.length === 0) await endIncident(transaction, id);
    await appendAudit(transaction, {
      actor: source,
      action: belongsTo.includes(id) ? 'incident.opened' : 'incident.reported-again',
      subject: `incident/${belongsTo[0]}`,
      detail: {
        deliveryId,
        reports: reports.length,
        severity,
        policies: decisions.map(({ policy }) => policy),
      },
    });
    return belongsTo;
  });
  const urgent = decisions.some(({ mode, answer }) => mode === 'revoke-first' && answer === 'rotate');
  if (urgent) await Promise.all(incidents.map((incident) => orchestrator.wakeIncident(incident)));
  await Promise.all(wake.map((rotation) => orchestrator.wake(rotation)));
  return { incidents, decisions, known: read.map(({ matches }) => matches.length > 0) };
}

/** @returns the incidents that have the credentials: the new one, and those that had some already */
async function assign(
  ledger: Ledger,
  id: string,
  decisions: readonly Decision[],
): Promise<readonly string[]> {
  const having = new Set<string>();
  for (const decision of decisions) having.add(await addTarget(ledger, id, decision));
  if (having.size === 0) return [id];
  // A storm of reports is one incident: where every credential has one, this one never was.
  if (!having.has(id)) await dropIncident(ledger, id);
  return [...having];
}

async function readAndForget({ ledger, fingerprintKey }: Orchestrator, report: Report): Promise<Read> {
  const print = (secret: SecretValue) => secret.fingerprint(fingerprintKey).toString('hex');
  const fingerprints = report.found.map(print);
  for (const secret of report.found) secret.destroy();
  // Names are looked for as secrets too: whoever wrote a secret where a name belongs has leaked it all the same.
  const names = { type: report.type, reference: report.reference, ...report.hints };
  const printed = Object.entries(names).flatMap(([field, name]) =>
    name === undefined ? [] : [{ field, print: print(SecretValue.of(name)) }],
  );
  const secrets = await matchCredentials(ledger, {
    ...nothing,
    fingerprints: [...fingerprints, ...printed.map((each) => each.print)],
  });
  const misplaced = printed.filter((each) => secrets.some(({ by }) => by === each.print));
  const clean = withoutFields(report, new Set(misplaced.map(({ field }) => field)));
  const { accessKeyId, identity, secretName, storePath, policy } = clean.hints;
  const some = (...texts: (string | undefined)[]) => texts.filter((text) => text !== undefined);
  const lookedFor: LookedFor = {
    fingerprints: [...fingerprints, ...misplaced.map((each) => each.print)],
    identities: some(accessKeyId, identity),
    secretNames: some(secretName),
    storePaths: some(storePath),
    policies: some(policy),
  };
  const named = await matchCredentials(ledger, { ...lookedFor, fingerprints: [] });
  return { report: clean, lookedFor, matches: [...secrets, ...named] };
}

const nothing: LookedFor = {
  fingerprints: [],
  identities: [],
  secretNames: [],
  storePaths: [],
  policies: [],
};

function withoutFields(report: Report, fields: ReadonlySet<string>): Report {
  const kept = <T>(field: string, value: T, instead: T) => (fields.has(field) ? instead : value);
  const hints = Object.entries(report.hints).filter(([field]) => !fields.has(field));
  return {
    ...report,
    type: kept('type', report.type, 'unnamed'),
    reference: kept('reference', report.reference, 'unnamed'),
    hints: Object.fromEntries(hints),
  };
}

/** What stays of a report: no secret, no text of strangers, what was looked for and what was found. */
function kept({ report, lookedFor, matches }: Read): KeptReport {
  const { found: _found, hints: _hints, ...rest } = report;
  return { ...rest, lookedFor, matched: matches.map(({ policy, matchedBy }) => ({ policy, matchedBy })) };
}

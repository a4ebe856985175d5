import { asRotorError, RotorError } from '../../core/errors.ts';
import { appendAudit } from '../../ledger/audit.ts';
import {
  addReports,
  addTargets,
  completeReport,
  dropIncident,
  endIncident,
  type KeptReport,
  openIncident,
  rememberDelivery,
} from '../../ledger/incidents.ts';
import { answerInquiry, type Inquiry, planInquiry } from '../../ledger/inquiries.ts';
import { planMessages } from '../../ledger/messages.ts';
import { planSteps } from '../../ledger/runbook-steps.ts';
import { markCompromised } from '../../ledger/versions.ts';
import { answerTargets } from '../incidents/answer.ts';
import { stepsToKeep } from '../incidents/runbook.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type Decision, decide, worst } from './decide.ts';
import { lookUpAndForget, type Read } from './lookup.ts';
import type { Report } from './report.ts';
import { runbooksOf, withRelated } from './runbooks.ts';

export interface Taken {
  /** Incidents that the reports belong to; more than one when some credentials had one already. */
  readonly incidents: readonly string[];
  readonly decisions: readonly Decision[];
  /** For each report whether any credential of ours was in it. */
  readonly known: readonly boolean[];
}

/** How far a report is complete. */
export interface Inquiring {
  /** What the source is still to be asked for. */
  readonly wanted?: unknown;
  /** It is the answer to this: the incident is there already. */
  readonly answers?: Inquiry;
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
  { wanted, answers }: Inquiring = {},
): Promise<Taken> {
  const { ledger, random } = orchestrator;
  const read = await lookUpAndForget(orchestrator, reports);
  const runbooks = await runbooksOf(
    ledger,
    read.flatMap(({ matches }) => matches),
  );
  const decisions = await withRelated(ledger, decide(read, runbooks));
  const id = answers?.incidentId ?? random.uuid();
  const severity = worst(reports);
  const incidents = await ledger.transaction(async (transaction) => {
    const isNew = answers
      ? await answerInquiry(transaction, answers.id)
      : await rememberDelivery(transaction, source, deliveryId);
    if (!isNew)
      throw new RotorError('hook.replayed', { what: `delivery ${deliveryId} of ${source} was taken before` });
    if (!answers) await openIncident(transaction, { id, severity, openedBy: source });
    const belongsTo = decisions.length === 0 ? [id] : await addTargets(transaction, id, decisions);
    // A storm of reports is one incident: where every credential has one, this one never was.
    if (!belongsTo.includes(id)) await dropIncident(transaction, id);
    for (const each of belongsTo)
      if (answers?.incidentId === each)
        for (const one of read) await completeReport(transaction, each, deliveryId, kept(one), severity);
      else await addReports(transaction, each, source, deliveryId, read.map(kept));
    const leaked = decisions.filter(
      ({ versionId, answer }) => versionId !== undefined && answer === 'rotate',
    );
    await markCompromised(
      transaction,
      leaked.map(({ versionId, revokeInMs }) => ({ id: versionId as string, revokeInMs })),
    );
    if (wanted !== undefined)
      for (const { report } of read) {
        const { found: _found, ...open } = report;
        const of = { incidentId: id, source, deliveryId };
        await planInquiry(transaction, { id: random.uuid(), ...of, wanted, report: open });
      }
    else if (decisions.length === 0) await endIncident(transaction, id);
    await planSteps(
      transaction,
      decisions.map(({ policyUid, answer, steps }) => ({ policyUid, steps: stepsToKeep(steps, answer) })),
    );
    if (belongsTo.includes(id)) await planMessages(transaction, messagesFor(orchestrator, id, decisions));
    await appendAudit(transaction, {
      actor: source,
      action: actionFor(belongsTo.includes(id), answers),
      subject: `incident/${belongsTo[0]}`,
      detail: {
        deliveryId,
        ...(answers && !belongsTo.includes(id) ? { insteadOf: id } : {}),
        reports: reports.length,
        severity,
        policies: decisions.map(({ policy }) => policy),
      },
    });
    return belongsTo;
  });
  await orchestrator.faults?.reach('intake:committed');
  await answerAll(orchestrator, decisions, incidents, source);
  await orchestrator.faults?.reach('intake:answered');
  return { incidents, decisions, known: read.map(({ matches }) => matches.length > 0) };
}

function actionFor(stays: boolean, answers: Inquiry | undefined): string {
  if (!stays) return 'incident.reported-again';
  return answers ? 'incident.answered' : 'incident.opened';
}

function messagesFor({ random }: Orchestrator, incidentId: string, decisions: readonly Decision[]) {
  return decisions.flatMap(({ policyUid, notify, answer }) =>
    answer === 'watch'
      ? []
      : notify.flatMap((target) =>
          target.on.map((moment) => ({ id: random.uuid(), incidentId, policyUid, moment, target })),
        ),
  );
}

/** Rotations that one transaction makes. */
const CHUNK = 250;
/** Where more have to be contained than that, all of them are before their rotations begin: these would take their place. */
const MANY = 20;
/** Whoever contains lets them go; should nobody come, they begin by themselves. */
const HOLD_MS = 30_000;

/**
 * Starts the rotations that answer, and wakes who contains first. The first of many are waited for, so that the sender knows
 * that it works; should this process die among the others, whoever follows incidents goes on.
 */
async function answerAll(
  orchestrator: Orchestrator,
  decisions: readonly Decision[],
  incidents: readonly string[],
  source: string,
): Promise<void> {
  const leaked = decisions.filter(({ answer }) => answer === 'rotate');
  const urgent = leaked.filter(({ mode }) => mode === 'revoke-first');
  const many = urgent.length > MANY;
  const answerSome = async (from: number): Promise<void> => {
    const some = leaked.slice(from, from + CHUNK);
    if (some.length === 0) return;
    const held = some.filter(
      ({ mode, versionId }) => many && mode === 'revoke-first' && versionId !== undefined,
    );
    const others = some.filter((each) => !held.includes(each));
    const ready = await orchestrator.ledger.transaction(async (ledger) => [
      ...(await answerTargets(orchestrator, ledger, held, source, HOLD_MS)),
      ...(await answerTargets(orchestrator, ledger, others, source, undefined)),
    ]);
    if (urgent.length > 0)
      await Promise.all(incidents.map((incident) => orchestrator.wakeIncident(incident)));
    await Promise.all(ready.map((rotation) => orchestrator.wake(rotation)));
  };
  await answerSome(0);
  void (async () => {
    for (let from = CHUNK; from < leaked.length; from += CHUNK) await answerSome(from);
  })().catch((thrown) =>
    orchestrator.log.warn(
      { err: asRotorError(thrown, 'answering an incident') },
      'the rest follows a little later',
    ),
  );
}

/** What stays of a report: no secret, no text of strangers, what was looked for and what was found. */
function kept({ report, lookedFor, matches }: Read): KeptReport {
  const { found: _found, hints: _hints, ...rest } = report;
  return { ...rest, lookedFor, matched: matches.map(({ policy, matchedBy }) => ({ policy, matchedBy })) };
}

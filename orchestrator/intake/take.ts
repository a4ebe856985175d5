import { asRotorError, RotorError } from '../../core/errors.ts';
import { appendAudit } from '../../ledger/audit.ts';
import {
  addReports,
  addTargets,
  dropIncident,
  endIncident,
  type KeptReport,
  openIncident,
  rememberDelivery,
} from '../../ledger/incidents.ts';
import { planMessages } from '../../ledger/messages.ts';
import { markCompromised } from '../../ledger/versions.ts';
import { answerTargets } from '../incidents/answer.ts';
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
  const read = await lookUpAndForget(orchestrator, reports);
  const runbooks = await runbooksOf(
    ledger,
    read.flatMap(({ matches }) => matches),
  );
  const decisions = await withRelated(ledger, decide(read, runbooks));
  const id = random.uuid();
  const severity = worst(reports);
  const incidents = await ledger.transaction(async (transaction) => {
    if (!(await rememberDelivery(transaction, source, deliveryId)))
      throw new RotorError('hook.replayed', { what: `delivery ${deliveryId} of ${source} was taken before` });
    await openIncident(transaction, { id, severity, openedBy: source });
    const belongsTo = decisions.length === 0 ? [id] : await addTargets(transaction, id, decisions);
    // A storm of reports is one incident: where every credential has one, this one never was.
    if (!belongsTo.includes(id)) await dropIncident(transaction, id);
    for (const each of belongsTo) await addReports(transaction, each, source, deliveryId, read.map(kept));
    const leaked = decisions.filter(
      ({ versionId, answer }) => versionId !== undefined && answer === 'rotate',
    );
    await markCompromised(
      transaction,
      leaked.map(({ versionId, revokeInMs }) => ({ id: versionId as string, revokeInMs })),
    );
    if (decisions.length === 0) await endIncident(transaction, id);
    if (belongsTo.includes(id)) await planMessages(transaction, messagesFor(orchestrator, id, decisions));
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
  await answerAll(orchestrator, decisions, incidents, source);
  return { incidents, decisions, known: read.map(({ matches }) => matches.length > 0) };
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
/**
 * What is contained first has its rotation begin after that: it would be in the way. Whoever contains lets it go; should
 * nobody come, it begins by itself.
 */
const HOLD_MS = 2_000;
/** Where more than that are contained, all of them are before their rotations begin. */
const MANY = 20;
const HOLD_MANY_MS = 30_000;

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
  const holdMs = urgent.length > MANY ? HOLD_MANY_MS : HOLD_MS;
  const answerSome = async (from: number): Promise<void> => {
    const some = leaked.slice(from, from + CHUNK);
    if (some.length === 0) return;
    const held = some.filter(({ mode, versionId }) => mode === 'revoke-first' && versionId !== undefined);
    const others = some.filter((each) => !held.includes(each));
    const ready = await orchestrator.ledger.transaction(async (ledger) => [
      ...(await answerTargets(orchestrator, ledger, held, source, holdMs)),
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

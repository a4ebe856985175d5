import { asRotorError, RotorError } from '../../core/errors.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { claimDead, type DeadTarget } from '../../ledger/dead-versions.ts';
import { addTargets } from '../../ledger/incident-targets.ts';
import {
  addReports,
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
import { reopenSteps } from '../../ledger/step-reopening.ts';
import { markCompromised } from '../../ledger/versions.ts';
import { DEAD_LEASE_MS, tryOne } from '../../workers/incidents/try-dead.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { answerTargets } from '../incidents/answer.ts';
import { stepsToKeep } from '../incidents/runbook.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type Decision, decide, worst } from './decide.ts';
import { type DeadValue, lookUpAndForget, type Read } from './lookup.ts';
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
  readonly answers?: Inquiry | undefined;
}

/**
 * Commits what is reported: the delivery, the incident, its targets and its reports, and for each leaked credential the
 * rotation that answers, in one transaction. What was found is fingerprinted first and destroyed; the value of a version that is
 * dead already is tried once before that, in memory.
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
  const { read, dead } = await lookUpAndForget(orchestrator, reports);
  const committed = await commit(orchestrator, source, deliveryId, read, dead, { wanted, answers }).catch(
    (thrown) => {
      forget(dead);
      throw thrown;
    },
  );
  void tryReported(orchestrator, committed.held, dead).finally(() => forget(dead));
  const { incidents, decisions } = committed;
  await orchestrator.faults?.reach('intake:committed');
  await answerAll(orchestrator, decisions, incidents, source);
  await orchestrator.faults?.reach('intake:answered');
  return { incidents, decisions, known: read.map(({ matches }) => matches.length > 0) };
}

interface Committed extends Pick<Taken, 'incidents' | 'decisions'> {
  /** Dead versions whose values are in hand: nobody else tries them meanwhile. */
  readonly held: readonly DeadTarget<RotationSpec>[];
}

async function commit(
  orchestrator: Orchestrator,
  source: string,
  deliveryId: string,
  read: readonly Read[],
  dead: readonly DeadValue[],
  { wanted, answers }: Inquiring,
): Promise<Committed> {
  const { ledger, random } = orchestrator;
  const runbooks = await runbooksOf(
    ledger,
    read.flatMap(({ matches }) => matches),
  );
  const decisions = await withRelated(ledger, decide(read, runbooks));
  const id = answers?.incidentId ?? random.uuid();
  const severity = worst(read.map(({ report }) => report));
  return ledger.transaction(async (transaction) => {
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
    if (read.some(({ report }) => report.alert))
      await reopenSteps(
        transaction,
        decisions.map(({ policyUid }) => policyUid),
        'resolve',
      );
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
        reports: read.length,
        severity,
        policies: decisions.map(({ policy }) => policy),
      },
    });
    const policies = dead.map(({ policyUid }) => policyUid);
    const held =
      dead.length === 0
        ? []
        : await claimDead<RotationSpec>(transaction, DEAD_LEASE_MS, policies.length, policies);
    return { incidents: belongsTo, decisions, held };
  });
}

function forget(dead: readonly DeadValue[]): void {
  for (const { value } of dead) value.destroy();
}

/** Tries reported values of dead versions while they are in hand. What fails here a worker tries with what the store has. */
async function tryReported(
  { ledger, registries, clock, random, log }: Orchestrator,
  held: readonly DeadTarget<RotationSpec>[],
  dead: readonly DeadValue[],
): Promise<void> {
  const deps = { ledger, registries, clock, random, log, worker: 'orchestrator' };
  const values = new Map(dead.map(({ versionId, value }) => [versionId, value]));
  await Promise.all(held.map((each) => tryOne(deps, each, values.get(each.versionId))));
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

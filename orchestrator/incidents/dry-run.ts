import { formatDuration } from '../../core/duration.ts';
import { appendAudit } from '../../ledger/audit.ts';
import { relatedPolicies } from '../../ledger/matching.ts';
import { type Decision, decide } from '../intake/decide.ts';
import { lookUpAndForget } from '../intake/lookup.ts';
import { runbooksOf, withRelated } from '../intake/runbooks.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type Response, reportOf } from './respond.ts';
import { BUILT_IN, type Risk, unfit } from './runbook.ts';
import {
  approve,
  contain,
  custom,
  customFunction,
  customHttp,
  customVault,
  evidence,
  notify,
  type RunbookStep,
  related,
  resolve,
  rollout,
} from './runbook-schema.ts';

/** A step as it would be taken, or why not. */
export interface PreviewedStep {
  readonly ordinal: number;
  readonly kind: string;
  readonly fits: boolean;
  /** What it would do; why it doesn't fit. */
  readonly what: string;
  /** An approval before it holds it up. */
  readonly held: boolean;
}

/** What an incident would do about one credential. */
export interface Preview {
  readonly policy: string;
  readonly environment: string | undefined;
  readonly answer: Decision['answer'];
  readonly matchedBy: readonly string[];
  /** `namespace/name`; undefined: the built-in one. */
  readonly runbook: string | undefined;
  readonly mode: Decision['mode'];
  /** An overlap ends that long after the report. */
  readonly revokeInMs: number | undefined;
  /** People of whom approvals are needed, one number for each approval. */
  readonly approvals: readonly number[];
  readonly steps: readonly PreviewedStep[];
  /** Blast radius: other policies that share its store path, account or consumers. */
  readonly related: readonly string[];
}

/**
 * What {@link respond} would do. Changes nothing; that somebody looked a secret up is put on record.
 * @throws RotorError as `respond`
 */
export async function respondDryRun(
  orchestrator: Orchestrator,
  response: Response,
  actor: string,
): Promise<{ readonly previews: readonly Preview[] }> {
  const { ledger, random } = orchestrator;
  const report = await reportOf(orchestrator, response, random.uuid());
  const { read, dead } = await lookUpAndForget(orchestrator, [report]);
  for (const { value } of dead) value.destroy();
  const matches = read.flatMap((each) => each.matches);
  const runbooks = await runbooksOf(ledger, matches);
  const decisions = await withRelated(ledger, decide(read, runbooks));
  if (response.secret !== undefined)
    await appendAudit(ledger, {
      actor,
      action: 'fingerprint.looked-up',
      subject: `matches/${matches.length}`,
      detail: { dryRun: true },
    });
  const previews: Preview[] = [];
  for (const decision of decisions) {
    const match = matches.find(({ policyUid }) => policyUid === decision.policyUid);
    const { policy, answer, matchedBy, mode, revokeInMs, policyUid } = decision;
    const risk = { ...report, environment: match?.environment };
    const steps = match ? previewOf(runbooks.get(policyUid) ?? BUILT_IN, risk, answer) : heldSteps(decision);
    previews.push({
      policy,
      environment: match?.environment,
      answer,
      matchedBy,
      runbook: runbooks.has(policyUid) ? match?.runbook : undefined,
      mode,
      revokeInMs,
      approvals: steps.flatMap(({ kind, fits, needed }) => (kind === 'approve' && fits ? [needed] : [])),
      steps: steps.map(({ needed: _, ...step }) => step),
      related: (await relatedPolicies(ledger, policyUid)).map((each) => each.policy),
    });
  }
  return { previews };
}

type Step = PreviewedStep & { readonly needed: number };

/** Each step of a runbook: whether it fits, what it would do, what holds it up. Pure. */
export function previewOf(
  runbook: readonly RunbookStep[],
  risk: Risk,
  answer: Decision['answer'],
): readonly Step[] {
  let held = false;
  return runbook.map((step, ordinal) => {
    const { kind, spec } = step;
    const why = unfit(step.when, risk) ?? without(kind, answer);
    const needed = kind === 'approve' ? approve.parse(spec).people : 0;
    const view = { ordinal, kind, fits: why === undefined, what: why ?? inWords(kind, spec), held, needed };
    if (kind === 'approve' && why === undefined) held = true;
    return { ...view, held: view.held && kind !== 'notify' };
  });
}

/** What shares something with a leaked credential has no runbook of its own in this incident. */
function heldSteps({ steps }: Decision): readonly Step[] {
  const rotation = { ordinal: 0, kind: 'rotate', spec: {} };
  return (steps.length > 0 ? steps : [rotation]).map(({ ordinal, kind, spec }) => ({
    ordinal,
    kind,
    fits: true,
    what: inWords(kind, spec),
    held: steps.length > 0 && kind === 'rotate',
    needed: kind === 'approve' ? approve.parse(spec).people : 0,
  }));
}

function without(kind: string, answer: Decision['answer']): string | undefined {
  if (answer === 'watch') return 'nothing proves a leak: put on record only';
  if (answer === 'prove' && ['approve', 'contain', 'rotate', 'deliver', 'rollout', 'related'].includes(kind))
    return 'was revoked already: its proof is looked up';
  return undefined;
}

function customInWords(written: unknown): string {
  const { kind, spec } = custom.parse(written);
  if (kind === 'http') return `${new URL(customHttp.parse(spec).url).host} is called`;
  if (kind === 'vault') {
    const { address, revokePrefix, rotateRoot } = customVault.parse(spec);
    const { host } = new URL(address);
    return revokePrefix === undefined
      ? `${host} changes its own password of ${rotateRoot}`
      : `all leases under ${revokePrefix} are revoked by ${host}`;
  }
  const { name, host } = customFunction.parse(spec);
  return `function ${name} is called ${host ? `at ${new URL(host.url).host}` : 'at AWS Lambda'}`;
}

function inWords(kind: string, spec: unknown): string {
  switch (kind) {
    case 'contain': {
      const { after } = contain.parse(spec);
      return after
        ? `consumers first; the leaked one is disabled after ${formatDuration(after)}`
        : 'the leaked one is disabled before anything else';
    }
    case 'approve': {
      const { people, expiresAfter, onExpiry } = approve.parse(spec);
      const then = onExpiry === 'stop' ? 'the incident fails' : 'it goes on without';
      return `${people} ${people === 1 ? 'person has' : 'people have'} to approve within ${formatDuration(expiresAfter)}, else ${then}`;
    }
    case 'rotate':
      return 'a new credential for the consumers';
    case 'deliver':
      return 'it is delivered';
    case 'rollout': {
      const { waves, maxMoving, deadline } = rollout.parse(spec);
      const within = deadline ? `, within ${formatDuration(deadline)}` : '';
      return waves === 'all-at-once'
        ? `consumers of all waves move at once, at most ${maxMoving}${within}`
        : `consumers move wave by wave${within}`;
    }
    case 'prove':
      return 'the leaked one is tried and has to be refused';
    case 'related':
      return related.parse(spec).policies === 'rotate'
        ? 'what shares something with it is rotated too, consumers first'
        : 'what shares something with it is named';
    case 'custom':
      return customInWords(spec);
    case 'evidence':
      return `the evidence is written to ${evidence.parse(spec).directory}`;
    case 'resolve':
      return `alerts of GitHub are resolved as ${resolve.parse(spec).github.resolution}`;
    case 'notify': {
      const { on, webhook, slack, smtp } = notify.parse(spec);
      const by = [webhook && 'webhook', slack && 'Slack', smtp && 'mail'].filter((way) => way !== undefined);
      return `tells by ${by.join(', ') || 'nothing'} when it is ${on.join(', ')}`;
    }
    default:
      return kind;
  }
}

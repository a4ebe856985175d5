import type { z } from 'zod';
import type { Answer, Mode } from '../../ledger/incident-targets.ts';
import type { Exposure, Report, Severity, Validity } from '../intake/report.ts';
import { approve, contain, type Notification, notify, type RunbookStep, related } from './runbook-schema.ts';

/** As GitHub and OWASP advise: high risk revokes first, the rest within a quarter of an hour. */
export const BUILT_IN: readonly RunbookStep[] = [
  { kind: 'contain', spec: {}, when: { severity: ['critical'] } },
  { kind: 'contain', spec: {}, when: { severity: ['high'], validity: ['active'] } },
  { kind: 'contain', spec: {}, when: { severity: ['high'], exposure: ['public'] } },
  { kind: 'contain', spec: { after: '15m' } },
  { kind: 'rotate', spec: {} },
  { kind: 'related', spec: { policies: 'report' } },
];

/** A step of a runbook that fits, and its place in it. */
export interface FittingStep {
  readonly ordinal: number;
  readonly kind: string;
  readonly spec: unknown;
}

/** What a runbook says about one report. */
export interface Orders {
  readonly mode: Mode;
  /** An overlap lasts that long at most; undefined: until the rotation revokes. */
  readonly revokeInMs: number | undefined;
  readonly related: 'report' | 'rotate';
  readonly notify: readonly Notification[];
  readonly steps: readonly FittingStep[];
  /** An approval holds up the rotation. */
  readonly held: boolean;
}

/** How bad it is, and where the credential is used. */
export type Risk = Pick<Report, 'severity' | 'validity' | 'exposure'> & {
  /** Label `environment` of the policy. */
  readonly environment?: string | undefined;
};

/**
 * The orders of a runbook for a report: all steps whose condition fits; the soonest containment wins, of those that no
 * approval holds up.
 */
export function ordersOf(steps: readonly RunbookStep[], report: Risk): Orders {
  const fitting = steps.flatMap(({ kind, spec, when }, ordinal) =>
    unfit(when, report) === undefined ? [{ ordinal, kind, spec }] : [],
  );
  const specs = <T>(kind: string, schema: z.ZodType<T>) =>
    fitting.filter((step) => step.kind === kind).map(({ spec }) => schema.parse(spec));
  return {
    ...containmentOf(upTo(fitting, firstApproval(fitting))),
    related: specs('related', related).some(({ policies }) => policies === 'rotate') ? 'rotate' : 'report',
    notify: specs('notify', notify),
    steps: fitting,
    held: rotationHeld(fitting),
  };
}

/** When these steps contain: the soonest wins. */
export function containmentOf(steps: readonly FittingStep[]): Pick<Orders, 'mode' | 'revokeInMs'> {
  const after = steps
    .filter(({ kind }) => kind === 'contain')
    .map(({ spec }) => contain.parse(spec).after ?? 0);
  const soonest = after.length > 0 ? Math.min(...after) : undefined;
  return { mode: soonest === 0 ? 'revoke-first' : 'overlap', revokeInMs: soonest };
}

/** Whether an approval among these comes before their rotation. */
export function rotationHeld(steps: readonly FittingStep[]): boolean {
  const rotation = steps.find(({ kind }) => kind === 'rotate')?.ordinal ?? 0;
  return firstApproval(steps) < rotation;
}

/** A step as it is kept with a target. */
export interface KeptStep extends FittingStep {
  /** People may approve it from now on, for so long. */
  readonly opensForMs?: number;
}

/** Before these nobody has to wait: containment, notifications and others go their own way. */
const NOT_WAITED_FOR: readonly string[] = ['contain', 'related', 'notify'];

/**
 * The steps that are kept for a credential: none where nothing proves a leak, and nobody has to approve that one is looked
 * up that is long dead. An approval that nothing comes before is open at once.
 */
export function stepsToKeep(steps: readonly FittingStep[], answer: Answer): readonly KeptStep[] {
  if (answer === 'watch') return [];
  if (answer === 'prove') return steps.filter(({ kind }) => kind !== 'approve');
  const first = steps.find(({ kind }) => !NOT_WAITED_FOR.includes(kind));
  return steps.map((step) =>
    step === first && step.kind === 'approve'
      ? { ...step, opensForMs: approve.parse(step.spec).expiresAfter }
      : step,
  );
}

export function firstApproval(steps: readonly FittingStep[]): number {
  return steps.find(({ kind }) => kind === 'approve')?.ordinal ?? Number.POSITIVE_INFINITY;
}

export function upTo<Step extends FittingStep>(steps: readonly Step[], before: number): readonly Step[] {
  return steps.filter(({ ordinal }) => ordinal < before);
}

/** Why a condition does not fit, in words; undefined when it fits. */
export function unfit(condition: RunbookStep['when'], risk: Risk): string | undefined {
  const { severity, validity, exposure, environment } = risk;
  const misses = <T extends string>(what: string, allowed: readonly T[] | undefined, value: T | undefined) =>
    allowed === undefined || (value !== undefined && allowed.includes(value))
      ? []
      : [`${what} is ${value ?? 'not known'}, not ${allowed.join(' or ')}`];
  const all = [
    ...misses<Severity>('severity', condition?.severity, severity),
    ...misses<Validity>('validity', condition?.validity, validity),
    ...misses<Exposure>('exposure', condition?.exposure, exposure),
    ...misses('environment', condition?.environment, environment),
  ];
  return all.length === 0 ? undefined : all.join('; ');
}

import { z } from 'zod';
import { duration } from '../../core/duration-schema.ts';
import type { Mode } from '../../ledger/incidents.ts';
import { type Exposure, type Report, SEVERITIES, type Severity, type Validity } from '../intake/report.ts';
import { keyed } from '../manifests/keyed.ts';

const VALIDITIES = ['active', 'inactive', 'unknown'] as const satisfies readonly Validity[];
const EXPOSURES = ['public', 'internal', 'unknown'] as const satisfies readonly Exposure[];

const when = z
  .strictObject({
    severity: z.array(z.enum(SEVERITIES)).min(1).max(4).optional(),
    validity: z.array(z.enum(VALIDITIES)).min(1).max(3).optional(),
    exposure: z.array(z.enum(EXPOSURES)).min(1).max(3).optional(),
  })
  .describe('Only for reports like that; each field lists what it may be');

const contain = z.strictObject({
  after: duration({ max: 30 * 86_400_000 })
    .optional()
    .describe(
      'Consumers first: contained after that long whoever still uses it. Absent: before anything else',
    ),
});
const rotate = z.strictObject({});
const related = z.strictObject({
  policies: z
    .enum(['report', 'rotate'])
    .default('report')
    .describe('What shares its store path, account or consumers'),
});
const notify = z.strictObject({
  on: z
    .array(z.enum(['opened', 'contained', 'proven', 'failed']))
    .min(1)
    .max(4)
    .default(['opened', 'proven', 'failed']),
  webhook: z
    .strictObject({
      url: z.url({ protocol: /^https?$/ }),
      secretFrom: z.strictObject({ file: z.string().min(1) }),
    })
    .optional()
    .describe('Signed as Standard Webhooks have it'),
  slack: z
    .strictObject({ urlFrom: z.strictObject({ file: z.string().min(1) }) })
    .optional()
    .describe('An incoming webhook, whose address is its secret'),
});

const STEPS = [
  { kind: 'contain', schema: contain },
  { kind: 'rotate', schema: rotate },
  { kind: 'related', schema: related },
  { kind: 'notify', schema: notify },
] as const;

/** `spec` of a Runbook: what an incident does about a credential, step by step, each where its condition fits. */
export const runbookSpec = z.strictObject({
  steps: z
    .array(keyed(STEPS, { when: when.optional() }))
    .min(1)
    .max(50)
    .refine(
      (steps) => steps.some(({ kind, when: condition }) => kind === 'rotate' && condition === undefined),
      {
        error: 'needs a `rotate` without a condition: consumers of a leaked credential need a new one',
      },
    ),
});

export interface RunbookStep {
  readonly kind: string;
  readonly spec: unknown;
  readonly when?: z.output<typeof when> | undefined;
}

/** As GitHub and OWASP advise: high risk revokes first, the rest within a quarter of an hour. */
export const BUILT_IN: readonly RunbookStep[] = [
  { kind: 'contain', spec: {}, when: { severity: ['critical'] } },
  { kind: 'contain', spec: {}, when: { severity: ['high'], validity: ['active'] } },
  { kind: 'contain', spec: {}, when: { severity: ['high'], exposure: ['public'] } },
  { kind: 'contain', spec: { after: '15m' } },
  { kind: 'rotate', spec: {} },
  { kind: 'related', spec: { policies: 'report' } },
];

export type Notification = z.output<typeof notify>;

/** What a runbook says about one report. */
export interface Orders {
  readonly mode: Mode;
  /** An overlap lasts that long at most; undefined: until the rotation revokes. */
  readonly revokeInMs: number | undefined;
  readonly related: 'report' | 'rotate';
  readonly notify: readonly Notification[];
}

type Risk = Pick<Report, 'severity' | 'validity' | 'exposure'>;

/** The orders of a runbook for a report: all steps whose condition fits; the soonest containment wins. */
export function ordersOf(steps: readonly RunbookStep[], report: Risk): Orders {
  const fitting = steps.filter((step) => fits(step.when, report));
  const specs = <T>(kind: string, schema: z.ZodType<T>) =>
    fitting.filter((step) => step.kind === kind).map(({ spec }) => schema.parse(spec));
  const after = specs('contain', contain).map((each) => each.after ?? 0);
  const soonest = after.length > 0 ? Math.min(...after) : undefined;
  return {
    mode: soonest === 0 ? 'revoke-first' : 'overlap',
    revokeInMs: soonest,
    related: specs('related', related).some(({ policies }) => policies === 'rotate') ? 'rotate' : 'report',
    notify: specs('notify', notify),
  };
}

function fits(condition: RunbookStep['when'], { severity, validity, exposure }: Risk): boolean {
  const among = <T>(allowed: readonly T[] | undefined, value: T) => allowed?.includes(value) ?? true;
  return (
    among<Severity>(condition?.severity, severity) &&
    among<Validity>(condition?.validity, validity) &&
    among<Exposure>(condition?.exposure, exposure)
  );
}

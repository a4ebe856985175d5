import { z } from 'zod';
import type { Message, Report } from './report.ts';
import { SEVERITIES } from './report.ts';

/**
 * What the operator lets an alarm mean that proves no leak by itself: a report revokes only what its fingerprint proves to
 * be leaked, or what such a rule names.
 */
export const operatorRules = z
  .array(
    z.strictObject({
      when: z
        .record(z.string(), z.string().max(200))
        .refine((when) => Object.keys(when).length > 0, 'needs at least one field')
        .describe('Fields of the alarm and what they must be; `*` at the end stands for anything'),
      policies: z.array(z.string().max(320)).max(100).default([]).describe('Policies that it is about'),
      about: z.enum(['leak', 'suspicion', 'rotate']).default('suspicion'),
      severity: z.enum(SEVERITIES).optional(),
    }),
  )
  .max(200)
  .default([]);

export type OperatorRules = z.output<typeof operatorRules>;

/** Fields of an alarm by the names that rules use. */
export type Facts = Readonly<Record<string, string | undefined>>;

/** The reports that the first fitting rule makes of an alarm; without one it is a suspicion with the hints it has. */
export function ruled(
  rules: OperatorRules,
  facts: Facts,
  deliveryId: string,
  base: Pick<Report, 'type' | 'reference' | 'severity'> & Partial<Pick<Report, 'hints'>>,
): Message {
  const common = { found: [], validity: 'unknown', exposure: 'unknown' } as const;
  const rule = rules.find(({ when }) =>
    Object.entries(when).every(([name, wanted]) => fits(facts[name], wanted)),
  );
  const hints = base.hints ?? {};
  const hinted = Object.values(hints).some((hint) => hint !== undefined);
  if (!rule && !hinted)
    return { kind: 'nothing', deliveryId, why: 'no rule fits, and it names no credential' };
  const { about = 'suspicion', severity = base.severity, policies = [] } = rule ?? {};
  const each = policies.length > 0 ? policies.map((policy) => ({ ...hints, policy })) : [hints];
  return {
    kind: 'reports',
    deliveryId,
    reports: each.map((found) => ({ ...base, ...common, about, severity, hints: found })),
  };
}

/** Whether a fact is what was wanted; `*` at the end stands for anything. */
export function fits(fact: string | undefined, wanted: string): boolean {
  if (fact === undefined) return false;
  return wanted.endsWith('*') ? fact.startsWith(wanted.slice(0, -1)) : fact === wanted;
}

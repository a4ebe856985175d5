import { z } from 'zod';
import { maybeWord, readJson, secretsIn, word } from './reading.ts';
import { type Report, SEVERITIES } from './report.ts';
import { fits } from './rules.ts';

const name = z.string().max(253);

/** Rotor's own form of a report, for senders of one's own: one, or a list. */
export const plainReport = z.strictObject({
  about: z.enum(['leak', 'suspicion', 'rotate']).default('leak'),
  type: name.default('report'),
  reference: name.default('unnamed'),
  secret: z.string().min(1).max(65_536).optional(),
  accessKeyId: name.optional(),
  identity: name.optional(),
  secretName: name.optional(),
  storePath: name.optional(),
  policy: name.optional(),
  severity: z.enum(SEVERITIES).default('high'),
  validity: z.enum(['active', 'inactive', 'unknown']).default('unknown'),
  exposure: z.enum(['public', 'internal', 'unknown']).default('unknown'),
});

const reports = z.union([plainReport.transform((one) => [one]), z.array(plainReport).min(1).max(10_000)]);

export function readReports(body: Buffer, mayName: readonly string[]): readonly Report[] {
  return readJson(body, reports).map((plain) => toReport(plain, mayName));
}

/** @param mayName policies that the sender may name; another is left out, so that a name alone revokes nothing */
export function toReport(plain: z.output<typeof plainReport>, mayName: readonly string[]): Report {
  const { about, severity, validity, exposure } = plain;
  return {
    about,
    type: word(plain.type),
    reference: word(plain.reference),
    found: plain.secret === undefined ? [] : secretsIn(plain.secret),
    hints: {
      accessKeyId: maybeWord(plain.accessKeyId),
      identity: maybeWord(plain.identity),
      secretName: maybeWord(plain.secretName),
      storePath: maybeWord(plain.storePath),
      policy: mayName.some((allowed) => fits(plain.policy, allowed)) ? maybeWord(plain.policy) : undefined,
    },
    severity,
    validity,
    exposure,
  };
}

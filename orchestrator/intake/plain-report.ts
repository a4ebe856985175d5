import { z } from 'zod';
import { maybeWord, readJson, secretsIn, word } from './reading.ts';
import { type Report, SEVERITIES } from './report.ts';

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

export function readReports(body: Buffer): readonly Report[] {
  return readJson(body, reports).map(toReport);
}

export function toReport(plain: z.output<typeof plainReport>): Report {
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
      policy: maybeWord(plain.policy),
    },
    severity,
    validity,
    exposure,
  };
}

import { SecretValue } from '../../core/secret.ts';
import { type LookedFor, type Match, matchCredentials } from '../../ledger/matching.ts';
import { isDead } from '../../ledger/versions.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import type { Report } from './report.ts';

/** A report, what it is looked for by, and what was found. */
export interface Read {
  readonly report: Report;
  readonly lookedFor: LookedFor;
  readonly matches: readonly Match[];
}

/** The value of a version that was dead already, to be tried for real once and destroyed then. */
export interface DeadValue {
  readonly policyUid: string;
  readonly versionId: string;
  readonly value: SecretValue;
}

/**
 * Looks everything up in two queries, however many reports there are, and destroys what was found, but for values of dead
 * versions, which whoever calls has to.
 */
export async function lookUpAndForget(
  { ledger, fingerprintKey }: Orchestrator,
  reports: readonly Report[],
): Promise<{ readonly read: readonly Read[]; readonly dead: readonly DeadValue[] }> {
  const print = (secret: SecretValue) => secret.fingerprint(fingerprintKey).toString('hex');
  const printed = reports.map((report) => {
    const fingerprints = report.found.map(print);
    // Names are looked for as secrets too: whoever wrote a secret where a name belongs has leaked it all the same.
    const { owner, repo } = report.alert ?? {};
    const names = Object.entries({
      type: report.type,
      reference: report.reference,
      owner,
      repo,
      ...report.hints,
    }).flatMap(([field, name]) =>
      name === undefined ? [] : [{ field, print: print(SecretValue.of(name)) }],
    );
    return { report, fingerprints, names };
  });
  const found = reports.flatMap((report) => report.found);
  const destroy = (kept: readonly SecretValue[]) => {
    for (const secret of found) if (!kept.includes(secret)) secret.destroy();
  };
  const secrets = await matchCredentials(ledger, {
    ...nothing,
    fingerprints: printed.flatMap(({ fingerprints, names }) => [
      ...fingerprints,
      ...names.map((name) => name.print),
    ]),
  }).catch((thrown) => {
    destroy([]);
    throw thrown;
  });
  const dead = deadAmong(secrets, new Map(found.map((secret) => [print(secret), secret])));
  destroy(dead.map(({ value }) => value));
  const known = new Set(secrets.map(({ by }) => by));
  const clean = printed.map(({ report, fingerprints, names }) => {
    const misplaced = names.filter((name) => known.has(name.print));
    const cleaned = withoutFields(report, new Set(misplaced.map(({ field }) => field)));
    return {
      report: cleaned,
      lookedFor: lookedForOf(cleaned, [...fingerprints, ...misplaced.map((name) => name.print)]),
    };
  });
  const named = await matchCredentials(ledger, {
    ...union(clean.map(({ lookedFor }) => lookedFor)),
    fingerprints: [],
  });
  const all = [...secrets, ...named];
  const read = clean.map((each) => ({
    ...each,
    matches: all.filter((match) => isOf(each.lookedFor, match)),
  }));
  return { read, dead };
}

/** @param values by their fingerprints */
function deadAmong(
  matches: readonly Match[],
  values: ReadonlyMap<string, SecretValue>,
): readonly DeadValue[] {
  return matches.flatMap(({ policyUid, version, by }) => {
    const value = values.get(by);
    return value && version && isDead(version.state) ? [{ policyUid, versionId: version.id, value }] : [];
  });
}

function lookedForOf({ hints }: Report, fingerprints: readonly string[]): LookedFor {
  const some = (...texts: (string | undefined)[]) => texts.filter((text) => text !== undefined);
  return {
    fingerprints,
    identities: some(hints.accessKeyId, hints.identity),
    secretNames: some(hints.secretName),
    storePaths: some(hints.storePath),
    policies: some(hints.policy),
  };
}

function union(all: readonly LookedFor[]): LookedFor {
  const of = (field: keyof LookedFor) => [...new Set(all.flatMap((each) => each[field]))];
  return {
    fingerprints: of('fingerprints'),
    identities: of('identities'),
    secretNames: of('secretNames'),
    storePaths: of('storePaths'),
    policies: of('policies'),
  };
}

const FIELD_OF = {
  fingerprint: 'fingerprints',
  identity: 'identities',
  secretName: 'secretNames',
  storePath: 'storePaths',
  policy: 'policies',
  related: 'policies',
} as const;

function isOf(lookedFor: LookedFor, { matchedBy, by }: Match): boolean {
  return lookedFor[FIELD_OF[matchedBy]].includes(by);
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
    // Owner and repository are part of it.
    reference:
      fields.has('owner') || fields.has('repo') ? 'unnamed' : kept('reference', report.reference, 'unnamed'),
    hints: Object.fromEntries(hints),
    alert: fields.has('owner') || fields.has('repo') ? undefined : report.alert,
  };
}

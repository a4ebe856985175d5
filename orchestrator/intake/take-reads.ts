import { SecretValue } from '../../core/secret.ts';
import { matchCredentials } from '../../ledger/matching.ts';
import { type NewRead, recordReads } from '../../ledger/secret-reads.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';

/** Clocks may differ by that; what claims to be of later is no record of anything. */
const AHEAD_MS = 300_000;

/**
 * Puts reads of delivered Secrets on record. A text that is itself one of our secrets (somebody's user agent, perhaps) is not
 * kept.
 * @returns how many are new
 */
export async function takeReads(
  orchestrator: Orchestrator,
  source: string,
  context: string | undefined,
  reads: readonly NewRead[],
): Promise<number> {
  const latest = orchestrator.clock.now().getTime() + AHEAD_MS;
  const past = reads.filter(({ at }) => at.getTime() <= latest);
  if (past.length === 0) return 0;
  const ours = await secretsAmong(orchestrator, past);
  const clean = past.map((read) => ({
    ...read,
    user: ours.has(read.user) ? 'unnamed' : read.user,
    impersonated: read.impersonated !== null && ours.has(read.impersonated) ? 'unnamed' : read.impersonated,
    groups: read.groups.filter((group) => !ours.has(group)),
    userAgent: read.userAgent !== null && ours.has(read.userAgent) ? null : read.userAgent,
  }));
  return recordReads(orchestrator.ledger, source, context, clean);
}

async function secretsAmong(
  { ledger, fingerprintKey }: Orchestrator,
  reads: readonly NewRead[],
): Promise<ReadonlySet<string>> {
  const texts = reads.flatMap(({ user, impersonated, groups, userAgent }) => [
    user,
    ...groups,
    ...(impersonated === null ? [] : [impersonated]),
    ...(userAgent === null ? [] : [userAgent]),
  ]);
  const prints = new Map(
    [...new Set(texts)].map((text) => [
      SecretValue.of(text).fingerprint(fingerprintKey).toString('hex'),
      text,
    ]),
  );
  const found = await matchCredentials(ledger, {
    fingerprints: [...prints.keys()],
    identities: [],
    secretNames: [],
    storePaths: [],
    policies: [],
  });
  return new Set(found.flatMap(({ by }) => prints.get(by) ?? []));
}

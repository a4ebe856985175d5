import { timeToRevoke } from '../../core/telemetry.ts';
import { appendAudit } from '../../ledger/audit.ts';
import type { Ledger } from '../../ledger/database.ts';
import { endTarget, type OpenTarget, openTargets } from '../../ledger/incident-targets.ts';
import { readJournal } from '../../ledger/journal.ts';
import { isDead } from '../../ledger/versions.ts';
import { positionOf } from '../../workers/saga/position.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { answerTarget } from './answer.ts';

const BATCH = 200;

/** So often a rotation that was rolled back is tried again, with a pause that doubles from one second. */
const MAX_TRIES = 6;

export type Next = 'end-proven' | 'end-noted' | 'end-failed' | 'rotate' | 'wait';

/** What comes next for a credential whose rotation has ended, or that has none. */
export function nextFor(target: Omit<OpenTarget, 'incidentId' | 'policyUid' | 'policy'>): Next {
  const {
    answer,
    attempt,
    versionId,
    versionState,
    rotationId,
    rotationState,
    rotationNewVersion,
    tries,
    idleSeconds,
    held,
    kept,
    unapproved,
  } = target;
  if (answer === 'watch') return 'end-noted';
  if (answer === 'prove') {
    if (!isDead(versionState)) return 'rotate';
    // What the record says of a dead version is tried for real first.
    if (attempt === undefined) return 'wait';
    return attempt === 'failed' ? 'end-failed' : 'end-proven';
  }
  // Held up by an approval: what it is contained by meanwhile is kept, once.
  if (rotationId === undefined) return held && kept ? 'wait' : 'rotate';
  if (rotationState === 'rolled-back') {
    if (tries >= MAX_TRIES) return 'end-failed';
    return idleSeconds >= 2 ** (tries - 1) ? 'rotate' : 'wait';
  }
  if (rotationState !== 'done') return 'wait';
  if (!isReplaced({ versionId, versionState, rotationNewVersion })) return 'rotate';
  return unapproved ? 'wait' : 'end-proven';
}

/**
 * Whether a rotation that is done has replaced the one that leaked: one that was under way when the report came may have
 * replaced another version.
 */
export function isReplaced({
  versionId,
  versionState,
  rotationNewVersion,
}: Pick<OpenTarget, 'versionId' | 'versionState' | 'rotationNewVersion'>): boolean {
  return versionId === undefined || (isDead(versionState) && rotationNewVersion !== versionId);
}

const RESULTS = { 'end-proven': 'proven', 'end-noted': 'noted', 'end-failed': 'failed' } as const;

/** What is said of a credential that is dead by a person's word only: its function could not try it, or nobody revokes it. */
async function confirmedOnly(
  ledger: Ledger,
  { answer, versionState, rotationId }: OpenTarget,
): Promise<string | undefined> {
  if (answer !== 'rotate' || versionState !== 'discarded' || rotationId === undefined) return undefined;
  const { note, confirmedBy } = positionOf(await readJournal(ledger, rotationId)).facts.get('prove') ?? {};
  return typeof confirmedBy === 'string' ? String(note) : undefined;
}

/** Goes on with open incidents: ends what is proven, starts a rotation again where the last one did not do it. */
export async function followIncidents(orchestrator: Orchestrator): Promise<void> {
  for (const target of await openTargets(orchestrator.ledger, BATCH)) {
    const next = nextFor(target);
    if (next === 'wait') continue;
    const wake = await orchestrator.ledger.transaction(async (ledger) => {
      if (next === 'rotate') {
        const by = `incident/${target.incidentId}`;
        return answerTarget(orchestrator, ledger, target.policyUid, target.policy, by);
      }
      const confirmed = next === 'end-proven' ? await confirmedOnly(ledger, target) : undefined;
      const result = confirmed === undefined ? RESULTS[next] : 'noted';
      const ended = await endTarget(ledger, target.incidentId, target.policyUid, result, confirmed);
      if (ended && ended.revokedAfter !== null && result === 'proven')
        timeToRevoke().record(ended.revokedAfter, { mode: ended.mode });
      await appendAudit(ledger, {
        actor: 'incidents',
        action: `incident.target-${result}`,
        subject: `incident/${target.incidentId}`,
        detail: { policy: target.policy, version: target.versionId ?? null },
      });
      return undefined;
    });
    await orchestrator.faults?.reach(`follow:${next}`);
    if (wake !== undefined) await orchestrator.wake(wake);
  }
}

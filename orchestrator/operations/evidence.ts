import type { JournalRow } from '../../ledger/journal.ts';
import type { ConsumerProof } from '../../workers/rollouts/rollout.ts';

/** What was seen of the consumers and of the provider: why the old credential could die. */
export interface EvidenceView {
  /** The version that all below is about. */
  readonly version: string | undefined;
  readonly consumers: readonly ConsumerProof[];
  /** What the provider showed of the credential that was to die, when it was last asked. */
  readonly provider: ProviderEvidence | undefined;
}

export interface ProviderEvidence {
  /** `sessions`: it shows who uses a credential; `time-only`: nobody looked. */
  readonly evidence: string;
  readonly sessions?: number;
  /** Who still used it, in words. */
  readonly remaining?: string;
  readonly at: Date;
}

interface Versions {
  readonly oldVersion: string | undefined;
  readonly newVersion: string | undefined;
}

/**
 * Reads the evidence out of a journal: of the way back once it was taken. A later look at a consumer replaces an
 * earlier one.
 * @returns undefined while nothing was proven
 */
export function evidenceOf(
  journal: readonly JournalRow[],
  { oldVersion, newVersion }: Versions,
): EvidenceView | undefined {
  const back = journal.some(({ direction }) => direction === 'back');
  const seen = journal.filter(
    ({ event, direction }) => event === 'done' && direction === (back ? 'back' : 'forward'),
  );
  const consumers = new Map<string, ConsumerProof>();
  let provider: ProviderEvidence | undefined;
  for (const { step, facts, at } of seen) {
    // Announced anew, the steps before count no more.
    if (step === 'generate') consumers.clear();
    for (const proof of (facts.proofs ?? []) as readonly ConsumerProof[])
      consumers.set(proof.consumer, proof);
    if (step === 'settle' && typeof facts.evidence === 'string')
      provider = {
        evidence: facts.evidence,
        ...(typeof facts.sessions === 'number' ? { sessions: facts.sessions } : {}),
        ...(typeof facts.remaining === 'string' ? { remaining: facts.remaining } : {}),
        at,
      };
  }
  if (consumers.size === 0 && !provider) return undefined;
  return { version: back ? oldVersion : newVersion, consumers: [...consumers.values()], provider };
}

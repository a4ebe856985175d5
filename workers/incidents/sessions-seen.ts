import { asRotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Ledger } from '../../ledger/database.ts';
import { observe } from '../../ledger/observations.ts';
import type { SeenUse } from '../../rotators/rotator.ts';

/**
 * Keeps what a containment shows of sessions while it ends them, since nobody sees them later. What is evidence only holds
 * nothing up: it may fail, and is waited for last.
 */
export function keepSessions(
  ledger: Ledger,
  log: Logger,
  { incidentId, policyUid }: { readonly incidentId: string; readonly policyUid: string },
): { readonly seen: (use: SeenUse) => void; kept(): Promise<void> } {
  const noted: Promise<void>[] = [];
  return {
    seen: (use) => {
      const note = observe(ledger, incidentId, policyUid, { kind: 'sessions', facts: { ...use } });
      noted.push(
        note.catch((thrown) =>
          log.warn({ err: asRotorError(thrown, 'keeping what was seen') }, 'who used it is not on record'),
        ),
      );
    },
    kept: async () => {
      await Promise.all(noted);
    },
  };
}

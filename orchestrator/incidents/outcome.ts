import type { Ledger } from '../../ledger/database.ts';
import type { RunbookStepRow, RunbookTarget } from '../../ledger/runbook-steps.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';

/** What became of a step that was tried. What may go well another time is thrown as a RotorError. */
export type Outcome =
  | { readonly done: Readonly<Record<string, unknown>> }
  /** For good, in words. */
  | { readonly failed: string };

/** What a step is performed with. */
export interface Performing {
  readonly orchestrator: Orchestrator;
  readonly target: RunbookTarget;
  readonly step: RunbookStepRow;
  /** What was said at the first try. */
  readonly note: Readonly<Record<string, unknown>>;
}

/** A kind of step with an effect outside. */
export interface EffectKind {
  readonly kind: string;
  /** How long it may take at most, in milliseconds. */
  limitMs(spec: unknown): number;
  perform(performing: Performing): Promise<Outcome>;
  /** Whether something has come meanwhile that was not done, within a transaction in which nothing more comes. */
  missed?(ledger: Ledger, target: RunbookTarget, outcome: Outcome): Promise<boolean>;
}

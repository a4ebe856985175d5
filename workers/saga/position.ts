import type { ErrorRecord } from '../../core/errors.ts';
import type { JournalRow } from '../../ledger/journal.ts';
import { isForwardOnly, STEPS, type StepName, stepIndex } from './steps.ts';

/** Where a rotation stands, told by its journal alone. */
export interface Position {
  readonly direction: 'forward' | 'back';
  /** The step that is open or was last. */
  readonly step: StepName;
  /** `open`: announced, no outcome. `done`: outcome recorded, next not announced. */
  readonly phase: 'open' | 'done';
  /** Failed attempts of the open step since it was announced. */
  readonly failures: number;
  /** How many times `generate` was announced. */
  readonly generations: number;
  /** Forward steps that were announced, in order: what a compensation has to look at. */
  readonly touched: readonly StepName[];
  /** Steps whose undoing is recorded. */
  readonly undone: ReadonlySet<StepName>;
  /** When the rotation turned back. */
  readonly backSince: Date | undefined;
  /** Why it did. */
  readonly because: ErrorRecord | undefined;
  /** Forward outcomes by step, the latest one. */
  readonly facts: ReadonlyMap<StepName, Readonly<Record<string, unknown>>>;
  /** When the latest intent and outcome of a forward step were committed, by the database's clock. */
  readonly announcedAt: ReadonlyMap<StepName, Date>;
  readonly doneAt: ReadonlyMap<StepName, Date>;
  /** What the open step noted of itself while it waited, the latest. */
  readonly noted: Readonly<Record<string, unknown>>;
  /** The latest note of each forward step, also when it is no longer open. */
  readonly notes: ReadonlyMap<StepName, Readonly<Record<string, unknown>>>;
  /** Forward steps of which a call got no answer, or may have got none since their worker was another one. */
  readonly unanswered: ReadonlySet<StepName>;
  /** When the open step asked for a human, the latest time. */
  readonly askedAt: Date | undefined;
}

const NO_ANSWER: ReadonlySet<unknown> = new Set(['call.timeout', 'provider.connection-lost']);

/**
 * Reads the position out of a journal. The first step changes nothing, so the claim of the rotation is announcement
 * enough for it: an empty journal stands at `plan`. Announcing an earlier step again (a new
 * attempt at `generate`) forgets what came after.
 */
export function positionOf(journal: readonly JournalRow[]): Position {
  let direction: Position['direction'] = 'forward';
  let step: StepName = 'plan';
  let phase: Position['phase'] = 'open';
  let failures = 0;
  let generations = 0;
  let backSince: Date | undefined;
  let because: ErrorRecord | undefined;
  const touched = new Set<StepName>(['plan']);
  const undone = new Set<StepName>();
  const facts = new Map<StepName, Readonly<Record<string, unknown>>>();
  const announcedAt = new Map<StepName, Date>();
  const doneAt = new Map<StepName, Date>();
  let noted: Readonly<Record<string, unknown>> = {};
  const notes = new Map<StepName, Readonly<Record<string, unknown>>>();
  const unanswered = new Set<StepName>();
  let askedAt: Date | undefined;
  let epoch: bigint | undefined;

  for (const row of journal) {
    const name = row.step as StepName;
    if (direction === 'forward' && phase === 'open' && epoch !== undefined && row.epoch !== epoch)
      unanswered.add(step);
    epoch = row.epoch;
    if (isNote(row)) {
      noted = row.facts.noted as typeof noted;
      if (row.direction === 'forward') notes.set(name, noted);
      continue;
    }
    if (row.event === 'failed') {
      if (row.direction === 'forward' && NO_ANSWER.has(row.facts.code)) unanswered.add(name);
      if (row.facts.code === 'rotation.needs-human') askedAt = row.at;
    } else {
      noted = {};
      askedAt = undefined;
    }
    direction = row.direction;
    step = name;
    if (row.event === 'failed') {
      failures += 1;
      continue;
    }
    failures = 0;
    phase = row.event === 'intent' ? 'open' : 'done';
    if (row.direction === 'back') {
      backSince ??= row.at;
      if (row.facts.because) because = row.facts.because as ErrorRecord;
      if (row.event === 'done') undone.add(name);
      continue;
    }
    if (row.event === 'intent') {
      if (name === 'generate') generations += 1;
      for (const later of touched.has(name) ? STEPS.slice(stepIndex(name)) : []) {
        touched.delete(later);
        facts.delete(later);
        doneAt.delete(later);
        undone.delete(later);
        notes.delete(later);
        unanswered.delete(later);
      }
      touched.add(name);
      announcedAt.set(name, row.at);
    } else {
      facts.set(name, row.facts);
      doneAt.set(name, row.at);
    }
  }
  return {
    direction,
    step,
    phase,
    failures,
    generations,
    touched: [...touched],
    undone,
    backSince,
    because,
    facts,
    announcedAt,
    doneAt,
    noted,
    notes,
    unanswered,
    askedAt,
  };
}

/** An open step's intent once more, with what it noted while it waited: nothing else has changed. */
function isNote({ event, facts }: JournalRow): boolean {
  return event === 'intent' && typeof facts.noted === 'object' && facts.noted !== null;
}

/** Whether the rotation may still turn back: nothing of the old credential has been killed. */
export function mayTurnBack(position: Position): boolean {
  return !position.touched.some(isForwardOnly);
}

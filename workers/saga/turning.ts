import type { RotorError } from '../../core/errors.ts';
import type { JournalEntry } from '../../ledger/journal.ts';
import type { Direction } from '../../ledger/rotations.ts';
import type { RotatorSession } from '../../rotators/rotator.ts';
import { undoOrder } from './answer.ts';
import type { Done, StepContext } from './context.ts';
import type { RunOutcome } from './engine.ts';
import type { Position } from './position.ts';
import type { Change } from './run-journal.ts';
import type { StepName, StepTable } from './steps.ts';

/** What turning needs of a run. */
export interface Turnable {
  readonly position: Position;
  readonly steps: StepTable;
  readonly overlap: string;
  readonly keepsPending: boolean;
  context(): StepContext;
  /** Nothing may go back to the old credential. */
  noWayBack(error?: RotorError): Promise<boolean>;
  /** Commits the intent of a step, with what comes before it. */
  announce(
    direction: Direction,
    step: StepName,
    before: readonly JournalEntry[],
    change: Change,
    facts?: JournalEntry['facts'],
  ): Promise<undefined>;
  askHuman(error: RotorError, entries: readonly JournalEntry[]): Promise<RunOutcome>;
  rolledBack(entries: readonly JournalEntry[], change: Change): Promise<RunOutcome>;
}

/**
 * Whether the pending credential may be in force, and must not be thrown away before that is undone: the next one is put in
 * force with its help, or a call that sets it may land after the next one's.
 */
export function keepsPending(
  { touched, undone, notes, doneAt }: Pick<Position, 'touched' | 'undone' | 'notes' | 'doneAt'>,
  { capabilities, lingersMs, prepare }: Pick<RotatorSession, 'capabilities' | 'lingersMs' | 'prepare'>,
): boolean {
  if (!capabilities.needsPending && lingersMs === undefined) return false;
  if (!touched.includes('install') || undone.has('install')) return false;
  return prepare === undefined || doneAt.has('install') || notes.get('install')?.prepared === true;
}

/**
 * Whether the provider has put the new credential into the old one's place, or may have: it can't be put back then.
 * @param inDoubt the effect of the open step may have happened
 * @param error why going back is thought of; undefined when it isn't
 */
export async function replacedForGood(
  rotator: RotatorSession,
  context: StepContext,
  inDoubt: boolean,
  error: RotorError | undefined,
): Promise<boolean> {
  if (!rotator.capabilities.forwardOnly || !context.position.touched.includes('generate')) return false;
  if (context.oldVersion === undefined) return false;
  // A provider that was asked and didn't say no may still do it.
  if (inDoubt || !error || error.kind === 'ambiguous') return true;
  const old = await context.oldCredential();
  if (!old) return false;
  return rotator.attempt(context.call(), old).then(
    (attempted) => attempted !== 'accepted',
    () => true,
  );
}

/** The step that is undone next; undefined when all is. */
export function nextBack({
  position,
  overlap,
}: Pick<Turnable, 'position' | 'overlap'>): StepName | undefined {
  return undoOrder(position.touched, overlap).find((step) => !position.undone.has(step));
}

/** Begins the way back, unless nothing may go back to the old credential. Why is in the journal: whoever ends the way tells it. */
export async function turnBack(
  run: Turnable,
  error: RotorError,
  entries: readonly JournalEntry[] = [],
): Promise<RunOutcome | undefined> {
  if (await run.noWayBack(error)) return run.askHuman(error, entries);
  const change: Change = { direction: 'back', error: error.toJSON() };
  const next = nextBack(run);
  if (!next) return run.rolledBack(entries, change);
  return run.announce('back', next, entries, change, { because: error.toJSON() });
}

/** On the way back to a credential that has leaked since: forward again, with this one where it is still accepted. */
export async function turnForward(run: Turnable): Promise<RunOutcome | undefined> {
  const { undone, step, phase, touched } = run.position;
  const taken = (name: StepName) => undone.has(name) || (phase === 'open' && step === name);
  if (!touched.includes('generate') || undone.has('generate'))
    return run.announce('forward', 'generate', [], { direction: 'forward' });
  if (taken('install') || taken('generate') || !touched.includes('publish')) {
    // Set once more it is in force again, whatever the way back did of it.
    return run.keepsPending
      ? run.announce('forward', 'install', [], { direction: 'forward' })
      : regenerate(run, []);
  }
  return run.announce('forward', 'publish', [], { direction: 'forward' });
}

/** This credential won't do: make sure that it is not applied, forget it, make another. */
export async function regenerate(run: Turnable, entries: readonly JournalEntry[]): Promise<undefined> {
  const context = run.context();
  const { touched, undone } = run.position;
  const installed = touched.includes('install') && !undone.has('install');
  // Where the secret is replaced in place, taking it back would put a leaked one into its place, if the provider took it:
  // the next overwrites it.
  const inPlace = run.overlap === 'none';
  const takeBack = installed && !(inPlace && (await run.noWayBack()));
  if (takeBack) await run.steps.install?.undo?.(context);
  const forgotten = (await run.steps.generate?.undo?.(context)) as Done;
  return run.announce('forward', 'generate', entries, {
    versions: forgotten.versions ?? [],
    direction: 'forward',
  });
}

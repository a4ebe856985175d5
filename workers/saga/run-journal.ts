import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import { retry } from '../../core/retry.ts';
import type { Ledger } from '../../ledger/database.ts';
import {
  type JournalEntry,
  type JournalRow,
  recordTransition,
  type Transition,
} from '../../ledger/journal.ts';
import type { Claimed } from '../../ledger/rotations.ts';
import type { Lease } from './lease.ts';
import { type Position, positionOf } from './position.ts';

/** What a transition changes besides the journal. */
export type Change = Omit<Transition, 'rotationId' | 'epoch' | 'seq' | 'entries' | 'leaseMs'>;

interface RunJournalOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly rotation: Claimed<unknown>;
  readonly lease: Lease;
  readonly rows: readonly JournalRow[];
}

/** A rotation's journal in the hands of the worker that holds it, and what every commit tells of the rotation. */
export class RunJournal {
  readonly #options: RunJournalOptions;
  readonly #rows: JournalRow[];
  /** Entries that the next commit takes along: the outcome before a step that only reads, and that step's intent. */
  #deferred: readonly JournalEntry[] = [];
  #seq: number;
  #position: Position;
  /** Somebody has asked for it to be cancelled. */
  cancel: boolean;
  overdue: boolean;

  constructor(options: RunJournalOptions) {
    this.#options = options;
    this.#rows = [...options.rows];
    this.#seq = options.rows.at(-1)?.seq ?? 0;
    this.#position = positionOf(this.#rows);
    this.cancel = options.rotation.cancelRequested;
    this.overdue = options.rotation.overdue;
  }

  /** Where the rotation stands, deferred entries included. */
  get position(): Position {
    return this.#position;
  }

  /** A step that only reads needs no announcement: should this worker die, whoever comes next probes the step before. */
  defer(entries: readonly JournalEntry[]): void {
    this.#deferred = entries;
    this.#position = positionOf([...this.#rows, ...this.#asRows(entries, this.#rows.at(-1)?.at)]);
  }

  /**
   * Commits one transition; a lost answer is repeated, which changes nothing the second time.
   * @param keep whether the lease goes on
   */
  async commit(entries: readonly JournalEntry[], change: Change, keep: boolean): Promise<void> {
    const { ledger, clock, log, rotation, lease } = this.#options;
    lease.assertHeld(rotation.id);
    const askedAt = clock.monotonicMs();
    const all = [...this.#deferred, ...entries];
    const transition: Transition = {
      ...change,
      rotationId: rotation.id,
      epoch: rotation.epoch,
      seq: this.#seq,
      entries: all,
      ...(keep ? { leaseMs: lease.ms } : {}),
    };
    const flags = await retry(() => recordTransition(ledger, transition), {
      attempts: 1_000,
      baseMs: 20,
      maxMs: 500,
      deadline: lease.deadline(),
      clock,
      onRetry: (err, attempt) => {
        if (attempt === 1 || attempt % 100 === 0) log.warn({ err }, 'the ledger takes no record now');
      },
    });
    if (flags.renewed) lease.renewed(askedAt);
    this.cancel = flags.cancel;
    this.overdue = flags.overdue;
    if (all.length === 0) return;
    this.#deferred = [];
    this.#seq = flags.seq;
    this.#rows.push(...this.#asRows(all, flags.recordedAt));
    this.#position = positionOf(this.#rows);
  }

  #asRows(entries: readonly JournalEntry[], at = new Date(0)): readonly JournalRow[] {
    return entries.map((entry) => ({ ...entry, seq: this.#seq, at, epoch: this.#options.rotation.epoch }));
  }
}

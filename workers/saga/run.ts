import type { Credential } from '../../core/credential.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { inSpan, stepDuration } from '../../core/telemetry.ts';
import type { JournalEntry, JournalRow } from '../../ledger/journal.ts';
import { type Claimed, type Direction, renewLease } from '../../ledger/rotations.ts';
import { isCompromised } from '../../ledger/versions.ts';
import { steps as allSteps } from '../steps/registry.ts';
import { answerTo } from './answer.ts';
import type { Done, StepContext, Wait } from './context.ts';
import type { RunOutcome, Saga } from './engine.ts';
import type { Lease } from './lease.ts';
import type { Parts } from './parts.ts';
import { mayTurnBack } from './position.ts';
import { contextOf } from './run-context.ts';
import { type Change, RunJournal } from './run-journal.ts';
import type { RotationSpec } from './spec.ts';
import { nextStep, type StepName, type StepTable } from './steps.ts';
import {
  keepsPending,
  nextBack,
  regenerate,
  replacedForGood,
  type Turnable,
  turnBack,
  turnForward,
} from './turning.ts';

/** Waits up to this are slept through with the lease; longer ones give the worker slot back. */
const SHORT_WAIT_MS = 1_000;
/** A step that hangs (a server that takes the connection and never answers) is given up after that long. */
const STEP_LIMIT_MS = 120_000;
const ROLLOUT_LIMIT_MS = 20 * 60_000;

interface RunOptions {
  readonly saga: Saga;
  readonly rotation: Claimed<RotationSpec>;
  readonly lease: Lease;
  readonly log: Logger;
  readonly journal: readonly JournalRow[];
  readonly stop: AbortSignal | undefined;
}

/** One worker's turn at one rotation, from a claim until it ends, waits or is handed over. */
export class Run {
  readonly #saga: Saga;
  readonly #rotation: Claimed<RotationSpec>;
  readonly #lease: Lease;
  readonly #log: Logger;
  readonly #stop: AbortSignal | undefined;
  readonly #journal: RunJournal;
  readonly #steps: StepTable;
  readonly #credentials = new Map<string, Credential>();
  #oldVersion: string | undefined;
  #newVersion: string | undefined;
  #parts: Parts | undefined;
  /** The effect of the open step may have happened: an earlier holder announced it, or an answer was lost. */
  #inDoubt: boolean;

  constructor({ saga, rotation, lease, log, journal, stop }: RunOptions) {
    this.#saga = saga;
    this.#steps = saga.steps ?? allSteps;
    this.#rotation = rotation;
    this.#lease = lease;
    this.#log = log;
    this.#stop = stop;
    const { ledger, clock } = saga;
    this.#journal = new RunJournal({ ledger, clock, log, rotation, lease, rows: journal });
    this.#oldVersion = rotation.oldVersion;
    this.#newVersion = rotation.newVersion;
    this.#inDoubt = this.#journal.position.phase === 'open';
  }

  async go(open: () => Parts): Promise<RunOutcome> {
    const { id, epoch } = this.#rotation;
    const stopRenewing = this.#lease.keep((ms) => renewLease(this.#saga.ledger, id, epoch, ms));
    try {
      try {
        this.#parts = open();
      } catch (thrown) {
        return await this.#refuse(asRotorError(thrown, 'opening the parts of the policy'));
      }
      for (;;) {
        this.#lease.assertHeld(this.#rotation.id);
        const outcome = await this.#advance();
        if (outcome) return outcome;
      }
    } finally {
      stopRenewing();
    }
  }

  async close(): Promise<void> {
    for (const credential of this.#credentials.values()) {
      for (const secret of Object.values(credential.secrets)) secret.destroy();
    }
    this.#credentials.clear();
    await this.#parts?.close();
  }

  /** One step further; an outcome when this turn is over. */
  async #advance(): Promise<RunOutcome | undefined> {
    const { direction, step, phase } = this.#journal.position;
    if (direction === 'back' && (await this.#oldHasLeaked())) {
      this.#log.warn('the old credential has leaked: going forward again');
      return turnForward(this.#turnable());
    }
    if (phase !== 'open') {
      if (this.#stop?.aborted) return this.#handOver();
      const next = direction === 'forward' ? nextStep(step, this.#steps) : nextBack(this.#turnable());
      if (!next) return this.#finish(direction === 'forward' ? 'done' : 'rolled-back');
      await this.#announce(direction, next);
      return undefined;
    }
    const turningBack = direction === 'forward' && this.#shouldTurnBack();
    if (turningBack) return this.#turnBack(turningBack);
    return this.#attempt(direction, step);
  }

  /** Cancelled or out of time, and still able to turn back. */
  #shouldTurnBack(): RotorError | undefined {
    if (!mayTurnBack(this.#journal.position)) return undefined;
    const name = `rotation ${this.#rotation.id}`;
    if (this.#journal.cancel) return new RotorError('rotation.cancelled', { what: `${name} was cancelled` });
    if (!this.#journal.overdue) return undefined;
    const waiting = this.#rotation.error?.what;
    return new RotorError('rotation.deadline', {
      what: `${name} did not end within its deadline${waiting ? `; last: ${waiting}` : ''}`,
    });
  }

  async #attempt(direction: Direction, step: StepName): Promise<RunOutcome | undefined> {
    const attributes = { 'rotor.step': step, 'rotor.direction': direction };
    const startedAt = this.#saga.clock.monotonicMs();
    let result: Done | Wait;
    try {
      const limitMs = this.#saga.stepLimitMs ?? this.#stepLimitMs(step);
      const limit = this.#lease.deadline().within(limitMs, this.#saga.clock);
      result = await inSpan('rotor.step', attributes, () =>
        limit.run(`step ${step}`, () => this.#perform(direction, step)),
      );
      stepDuration().record((this.#saga.clock.monotonicMs() - startedAt) / 1_000, { step, direction });
    } catch (thrown) {
      return this.#failed(direction, step, asRotorError(thrown, `step ${step}`));
    }
    await this.#saga.faults.reach(`${direction}:${step}:performed`);
    this.#lease.assertHeld(this.#rotation.id);
    if (!('waitMs' in result)) return this.#done(direction, step, result);
    const note: readonly JournalEntry[] = result.note
      ? [{ direction, step, event: 'intent', facts: { noted: result.note } }]
      : [];
    return this.#wait(result, note);
  }

  /** A rotator whose calls take long makes two of them in some steps. */
  #stepLimitMs(step: StepName): number {
    if (step === 'rollout') return ROLLOUT_LIMIT_MS;
    return Math.max(STEP_LIMIT_MS, 2 * (this.#required().rotator.callMs ?? 0));
  }

  async #perform(direction: Direction, step: StepName): Promise<Done | Wait> {
    const context = this.#context();
    const does = this.#steps[step];
    if (!does) throw new RotorError('internal.bug', { what: `this saga has no step ${step}` });
    if (direction === 'back') return does.undo ? does.undo(context) : { facts: {} };
    if (this.#inDoubt && does.probe) {
      const found = await does.probe(context);
      if (found) return found;
    }
    return does.perform(context);
  }

  /** The outcome and the next step's intent share one commit. */
  async #done(direction: Direction, step: StepName, done: Done): Promise<RunOutcome | undefined> {
    if (done.oldVersion) this.#oldVersion = done.oldVersion;
    const change: Change = {
      ...(done.versions ? { versions: done.versions } : {}),
      ...(done.oldVersion ? { oldVersion: done.oldVersion } : {}),
    };
    const entry: JournalEntry = { direction, step, event: 'done', facts: done.facts };
    const audit = (done.audit ?? []).map((event) => ({ ...event, actor: `worker/${this.#saga.worker}` }));
    this.#log.info({ step, direction }, direction === 'forward' ? 'step done' : 'step undone');
    const next = direction === 'forward' ? nextStep(step, this.#steps) : undefined;
    if (direction === 'forward' && !next) return this.#finish('done', [entry], { ...change, audit });
    if (next && !this.#stop?.aborted && !this.#journal.cancel && !this.#journal.overdue) {
      if (this.#steps[next]?.readsOnly && audit.length === 0 && Object.keys(change).length === 0)
        return this.#defer(entry, { direction, step: next, event: 'intent', facts: {} });
      return this.#announce('forward', next, [entry], { ...change, audit });
    }
    await this.#record([entry], { ...change, audit });
    await this.#saga.faults.reach(`${direction}:${step}:recorded`);
    const turningBack = direction === 'forward' && this.#shouldTurnBack();
    return turningBack ? this.#turnBack(turningBack) : undefined;
  }

  async #defer(outcome: JournalEntry, intent: JournalEntry): Promise<undefined> {
    this.#journal.defer([outcome, intent]);
    this.#inDoubt = false;
    await this.#saga.faults.reach(`${intent.direction}:${intent.step}:announced`);
  }

  async #announce(
    direction: Direction,
    step: StepName,
    before: readonly JournalEntry[] = [],
    change: Change = {},
    facts: JournalEntry['facts'] = {},
  ): Promise<undefined> {
    const announced = direction === 'forward' ? this.#steps[step]?.announce?.(this.#context()) : undefined;
    const entry: JournalEntry = { direction, step, event: 'intent', facts: announced?.facts ?? facts };
    const versions = [...(change.versions ?? []), ...(announced?.versions ?? [])];
    await this.#record([...before, entry], {
      ...change,
      versions,
      ...(announced ? { newVersion: announced.newVersion } : {}),
    });
    if (announced) this.#newVersion = announced.newVersion;
    this.#inDoubt = false;
    await this.#saga.faults.reach(`${direction}:${step}:announced`);
  }

  async #wait({ waitMs, reason }: Wait, note: readonly JournalEntry[]): Promise<RunOutcome | undefined> {
    if (waitMs <= SHORT_WAIT_MS && !this.#stop?.aborted) {
      if (note.length > 0) await this.#record(note, {});
      await this.#saga.clock.sleep(waitMs);
      return undefined;
    }
    return this.#park(waitMs, reason, note);
  }

  /** Lets the rotation go until its wake-up time; any worker may go on. */
  async #park(
    wakeInMs: number,
    waitReason: string,
    entries: readonly JournalEntry[] = [],
  ): Promise<RunOutcome> {
    const seen = {
      ...(this.#journal.cancel ? { cancelSeen: true as const } : {}),
      ...(this.#rotation.hurried ? { hurrySeen: true as const } : {}),
    };
    await this.#record(
      entries,
      { state: 'waiting', wakeInMs: Math.ceil(wakeInMs), waitReason, ...seen },
      false,
    );
    return { state: 'waiting', wakeInMs };
  }

  async #handOver(): Promise<RunOutcome> {
    await this.#park(0, 'handed over by a worker that was shut down');
    return { state: 'let-go' };
  }

  async #failed(direction: Direction, step: StepName, error: RotorError): Promise<RunOutcome | undefined> {
    this.#log.warn({ step, direction, err: error }, 'step failed');
    if (this.#lease.remainingMs() === 0) throw error;
    const situation = {
      direction,
      step,
      failures: this.#journal.position.failures + 1,
      generations: this.#journal.position.generations,
      mayTurnBack: mayTurnBack(this.#journal.position),
      noWayBack: await this.#noWayBack(error),
      keepsPending: keepsPending(this.#journal.position, this.#required().rotator),
      overdue: this.#journal.overdue,
      cancelled: this.#journal.cancel,
      random: this.#saga.random.int(1_000) / 1_000,
    };
    const answer = answerTo(error, situation);
    const entry: JournalEntry = { direction, step, event: 'failed', facts: { ...error.toJSON() } };
    switch (answer.do) {
      case 'let-go':
        throw error;
      case 'retry':
        this.#inDoubt ||= answer.inDoubt;
        if (answer.inMs > SHORT_WAIT_MS || this.#stop?.aborted)
          return this.#park(answer.inMs, error.message, [entry]);
        // On the way back the rotation's error is why it turned back.
        await this.#record([entry], direction === 'forward' ? { error: error.toJSON() } : {});
        await this.#saga.clock.sleep(answer.inMs);
        return undefined;
      case 'regenerate':
        return regenerate(this.#turnable(), [entry]);
      case 'turn-back':
        return this.#turnBack(error, [entry]);
      case 'ask-human':
        return this.#askHuman(error, [entry]);
    }
  }

  async #oldHasLeaked(): Promise<boolean> {
    return this.#oldVersion !== undefined && (await isCompromised(this.#saga.ledger, this.#oldVersion));
  }

  /** @param error why going back is thought of; undefined when it isn't */
  async #noWayBack(error?: RotorError): Promise<boolean> {
    return (
      (await this.#oldHasLeaked()) ||
      replacedForGood(this.#required().rotator, this.#context(), this.#inDoubt, error)
    );
  }

  async #turnBack(error: RotorError, entries: readonly JournalEntry[] = []): Promise<RunOutcome | undefined> {
    this.#log.warn({ err: error }, 'the way forward is given up');
    return turnBack(this.#turnable(), error, entries);
  }

  #turnable(): Turnable {
    return {
      position: this.#journal.position,
      steps: this.#steps,
      overlap: this.#required().rotator.capabilities.overlap,
      keepsPending: keepsPending(this.#journal.position, this.#required().rotator),
      context: () => this.#context(),
      noWayBack: (error) => this.#noWayBack(error),
      announce: (direction, step, before, change, facts) =>
        this.#announce(direction, step, before, change, facts),
      askHuman: (error, entries) => this.#askHuman(error, entries),
      rolledBack: (entries, change) => this.#finish('rolled-back', entries, change),
    };
  }

  async #askHuman(error: RotorError, entries: readonly JournalEntry[]): Promise<RunOutcome> {
    const hint = `${error.hint} Then settle it with: rotor resume rotation/${this.#rotation.id}`;
    const told = error.hint.includes('rotor resume') ? error.toJSON() : { ...error.toJSON(), hint };
    return this.#finish('needs-human', entries, { error: told });
  }

  /** The policy can't be opened at all: nothing to undo yet, or nothing that this worker could do. */
  async #refuse(error: RotorError): Promise<RunOutcome> {
    if (this.#journal.position.touched.length === 0)
      return this.#finish('rolled-back', [], { error: error.toJSON() });
    return this.#askHuman(error, []);
  }

  async #finish(
    state: 'done' | 'rolled-back' | 'needs-human',
    entries: readonly JournalEntry[] = [],
    change: Change = {},
  ): Promise<RunOutcome> {
    const error = change.error ?? (state === 'rolled-back' ? this.#journal.position.because : undefined);
    const detail = {
      policy: this.#rotation.policy,
      version: this.#newVersion ?? null,
      ...(error ? { code: error.code } : {}),
    };
    const ended = {
      actor: `worker/${this.#saga.worker}`,
      action: `rotation.${state}`,
      subject: `rotation/${this.#rotation.id}`,
      detail,
    };
    await this.#record(
      entries,
      {
        ...(state === 'done' ? { error: null } : error ? { error } : {}),
        ...change,
        state,
        audit: [...(change.audit ?? []), ended],
      },
      false,
    );
    const last = entries.at(-1);
    await this.#saga.faults.reach(last ? `${last.direction}:${last.step}:recorded` : `end:${state}:recorded`);
    this.#log.info({ state }, 'rotation ended');
    return { state };
  }

  #record(entries: readonly JournalEntry[], change: Change, keep = true): Promise<void> {
    return this.#journal.commit(entries, change, keep);
  }

  #required(): Parts {
    if (!this.#parts) throw new RotorError('internal.bug', { what: 'the parts of the policy are not open' });
    return this.#parts;
  }

  #context(): StepContext {
    return contextOf({
      saga: this.#saga,
      rotation: this.#rotation,
      lease: this.#lease,
      log: this.#log,
      parts: this.#required(),
      journal: this.#journal,
      oldVersion: this.#oldVersion,
      newVersion: this.#newVersion,
      known: this.#credentials,
    });
  }
}

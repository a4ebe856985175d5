import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { retry } from '../../core/retry.ts';
import { inSpan, stepDuration } from '../../core/telemetry.ts';
import {
  type JournalEntry,
  type JournalRow,
  recordTransition,
  type Transition,
} from '../../ledger/journal.ts';
import { type Claimed, type Direction, ledgerNow, renewLease } from '../../ledger/rotations.ts';
import { isCompromised, listVersions } from '../../ledger/versions.ts';
import { steps as allSteps } from '../steps/registry.ts';
import { answerTo, undoOrder } from './answer.ts';
import { type Done, fingerprintOf, readVersion, type StepContext, type Wait } from './context.ts';
import type { RunOutcome, Saga } from './engine.ts';
import type { Lease } from './lease.ts';
import type { Parts } from './parts.ts';
import { mayTurnBack, type Position, positionOf } from './position.ts';
import type { RotationSpec } from './spec.ts';
import { nextStep, type StepName, type StepTable } from './steps.ts';

/** Waits up to this are slept through with the lease; longer ones give the worker slot back. */
const SHORT_WAIT_MS = 1_000;
const CALL_MS = 15_000;
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

type Change = Omit<Transition, 'rotationId' | 'epoch' | 'seq' | 'entries' | 'leaseMs'>;

/** One worker's turn at one rotation, from a claim until it ends, waits or is handed over. */
export class Run {
  readonly #saga: Saga;
  readonly #rotation: Claimed<RotationSpec>;
  readonly #lease: Lease;
  readonly #log: Logger;
  readonly #stop: AbortSignal | undefined;
  readonly #rows: JournalRow[];
  readonly #steps: StepTable;
  readonly #credentials = new Map<string, Credential>();
  /** Entries that the next commit takes along: the outcome before a step that only reads, and that step's intent. */
  #deferred: readonly JournalEntry[] = [];
  #seq: number;
  #position: Position;
  #oldVersion: string | undefined;
  #newVersion: string | undefined;
  #cancel: boolean;
  #overdue: boolean;
  #error: RotorError | undefined;
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
    this.#rows = [...journal];
    this.#seq = journal.at(-1)?.seq ?? 0;
    this.#position = positionOf(this.#rows);
    this.#oldVersion = rotation.oldVersion;
    this.#newVersion = rotation.newVersion;
    this.#cancel = rotation.cancelRequested;
    this.#overdue = rotation.overdue;
    this.#inDoubt = this.#position.phase === 'open';
  }

  async go(open: () => Parts): Promise<RunOutcome> {
    const stopRenewing = this.#renewRegularly();
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
    const { direction, step, phase } = this.#position;
    if (direction === 'back' && (await this.#oldHasLeaked())) return this.#turnForward();
    if (phase !== 'open') {
      if (this.#stop?.aborted) return this.#handOver();
      const next = direction === 'forward' ? nextStep(step, this.#steps) : this.#nextBack();
      if (!next) return this.#finish(direction === 'forward' ? 'done' : 'rolled-back');
      await this.#announce(direction, next);
      return undefined;
    }
    const turningBack = direction === 'forward' && this.#shouldTurnBack();
    if (turningBack) return this.#turnBack(turningBack);
    return this.#attempt(direction, step);
  }

  #nextBack(): StepName | undefined {
    const { overlap } = this.#required().rotator.capabilities;
    return undoOrder(this.#position.touched, overlap).find((step) => !this.#position.undone.has(step));
  }

  /** Cancelled or out of time, and still able to turn back. */
  #shouldTurnBack(): RotorError | undefined {
    if (!mayTurnBack(this.#position)) return undefined;
    const name = `rotation ${this.#rotation.id}`;
    if (this.#cancel) return new RotorError('rotation.cancelled', { what: `${name} was cancelled` });
    if (!this.#overdue) return undefined;
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
      const limitMs = this.#saga.stepLimitMs ?? (step === 'rollout' ? ROLLOUT_LIMIT_MS : STEP_LIMIT_MS);
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
    if (next && !this.#stop?.aborted && !this.#cancel && !this.#overdue) {
      if (this.#steps[next]?.readsOnly && audit.length === 0 && Object.keys(change).length === 0)
        return this.#defer(entry, { direction, step: next, event: 'intent', facts: {} });
      return this.#announce('forward', next, [entry], { ...change, audit });
    }
    await this.#record([entry], { ...change, audit });
    await this.#saga.faults.reach(`${direction}:${step}:recorded`);
    const turningBack = direction === 'forward' && this.#shouldTurnBack();
    return turningBack ? this.#turnBack(turningBack) : undefined;
  }

  /** A step that only reads needs no announcement: should this worker die, whoever comes next probes the step before. */
  async #defer(outcome: JournalEntry, intent: JournalEntry): Promise<undefined> {
    this.#deferred = [outcome, intent];
    this.#position = positionOf([...this.#rows, ...this.#asRows(this.#deferred, this.#rows.at(-1)?.at)]);
    this.#inDoubt = false;
    await this.#saga.faults.reach(`${intent.direction}:${intent.step}:announced`);
  }

  #asRows(entries: readonly JournalEntry[], at = new Date(0)): readonly JournalRow[] {
    return entries.map((entry) => ({ ...entry, seq: this.#seq, at, epoch: this.#rotation.epoch }));
  }

  async #announce(
    direction: Direction,
    step: StepName,
    before: readonly JournalEntry[] = [],
    change: Change = {},
  ): Promise<undefined> {
    const announced = direction === 'forward' ? this.#steps[step]?.announce?.(this.#context()) : undefined;
    const entry: JournalEntry = { direction, step, event: 'intent', facts: announced?.facts ?? {} };
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
    const seen = this.#cancel ? { cancelSeen: true as const } : {};
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
      failures: this.#position.failures + 1,
      generations: this.#position.generations,
      mayTurnBack: mayTurnBack(this.#position),
      oldCompromised: await this.#oldHasLeaked(),
      overdue: this.#overdue,
      cancelled: this.#cancel,
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
        await this.#record([entry], { error: error.toJSON() });
        await this.#saga.clock.sleep(answer.inMs);
        return undefined;
      case 'regenerate':
        return this.#regenerate([entry]);
      case 'turn-back':
        return this.#turnBack(error, [entry]);
      case 'ask-human':
        return this.#askHuman(error, [entry]);
    }
  }

  async #oldHasLeaked(): Promise<boolean> {
    return this.#oldVersion !== undefined && (await isCompromised(this.#saga.ledger, this.#oldVersion));
  }

  /** This credential won't do: make sure that it is not applied, forget it, make another. */
  async #regenerate(entries: readonly JournalEntry[]): Promise<undefined> {
    const context = this.#context();
    const { touched, undone } = this.#position;
    const installed = touched.includes('install') && !undone.has('install');
    // Where the secret is replaced in place, taking it back would put a leaked one into its place: the next overwrites it.
    const inPlace = this.#required().rotator.capabilities.overlap === 'none';
    const takeBack = installed && !(inPlace && (await this.#oldHasLeaked()));
    if (takeBack) await this.#steps.install?.undo?.(context);
    const forgotten = (await this.#steps.generate?.undo?.(context)) as Done;
    return this.#announce('forward', 'generate', entries, {
      versions: forgotten.versions ?? [],
      direction: 'forward',
    });
  }

  async #turnBack(error: RotorError, entries: readonly JournalEntry[] = []): Promise<RunOutcome | undefined> {
    if (await this.#oldHasLeaked()) return this.#askHuman(error, entries);
    this.#error = error;
    this.#position = { ...this.#position, direction: 'back', phase: 'done' };
    const change: Change = { direction: 'back', error: error.toJSON() };
    const next = this.#nextBack();
    if (!next) return this.#finish('rolled-back', entries, change);
    this.#log.warn({ err: error }, 'turning back');
    return this.#announce('back', next, entries, change);
  }

  /** On the way back to a credential that has leaked since: forward again, with this one where it is still accepted. */
  async #turnForward(): Promise<RunOutcome | undefined> {
    const { undone, step, phase, touched } = this.#position;
    const taken = (name: StepName) => undone.has(name) || (phase === 'open' && step === name);
    this.#log.warn('the old credential has leaked: going forward again');
    if (!touched.includes('generate') || undone.has('generate'))
      return this.#announce('forward', 'generate', [], { direction: 'forward' });
    if (taken('install') || taken('generate') || !touched.includes('publish')) return this.#regenerate([]);
    return this.#announce('forward', 'publish', [], { direction: 'forward' });
  }

  async #askHuman(error: RotorError, entries: readonly JournalEntry[]): Promise<RunOutcome> {
    const hint = `${error.hint} Then settle it with: rotor resume rotation/${this.#rotation.id}`;
    const told = error.hint.includes('rotor resume') ? error.toJSON() : { ...error.toJSON(), hint };
    return this.#finish('needs-human', entries, { error: told });
  }

  /** The policy can't be opened at all: nothing to undo yet, or nothing that this worker could do. */
  async #refuse(error: RotorError): Promise<RunOutcome> {
    if (this.#position.touched.length === 0)
      return this.#finish('rolled-back', [], { error: error.toJSON() });
    return this.#askHuman(error, []);
  }

  async #finish(
    state: 'done' | 'rolled-back' | 'needs-human',
    entries: readonly JournalEntry[] = [],
    change: Change = {},
  ): Promise<RunOutcome> {
    const error = this.#error ?? undefined;
    const detail = {
      policy: this.#rotation.policy,
      version: this.#newVersion ?? null,
      ...(change.error || error ? { code: change.error?.code ?? error?.code } : {}),
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
        ...(state === 'done' ? { error: null } : {}),
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

  /** Commits one transition; a lost answer is repeated, which changes nothing the second time. */
  async #record(entries: readonly JournalEntry[], change: Change, keep = true): Promise<void> {
    this.#lease.assertHeld(this.#rotation.id);
    const askedAt = this.#saga.clock.monotonicMs();
    const all = [...this.#deferred, ...entries];
    const transition: Transition = {
      ...change,
      rotationId: this.#rotation.id,
      epoch: this.#rotation.epoch,
      seq: this.#seq,
      entries: all,
      ...(keep ? { leaseMs: this.#lease.ms } : {}),
    };
    const flags = await retry(() => recordTransition(this.#saga.ledger, transition), {
      attempts: 1_000,
      baseMs: 20,
      maxMs: 500,
      deadline: this.#lease.deadline(),
      clock: this.#saga.clock,
      onRetry: (err, attempt) => {
        if (attempt === 1 || attempt % 100 === 0) this.#log.warn({ err }, 'the ledger takes no record now');
      },
    });
    if (flags.renewed) this.#lease.renewed(askedAt);
    this.#cancel = flags.cancel;
    this.#overdue = flags.overdue;
    if (all.length === 0) return;
    this.#deferred = [];
    this.#seq = flags.seq;
    this.#rows.push(...this.#asRows(all, flags.recordedAt));
    this.#position = positionOf(this.#rows);
  }

  #renewRegularly(): () => void {
    const { ledger, clock } = this.#saga;
    const renew = async () => {
      const askedAt = clock.monotonicMs();
      const held = await renewLease(ledger, this.#rotation.id, this.#rotation.epoch, this.#lease.ms).catch(
        () => undefined,
      );
      if (held === true) this.#lease.renewed(askedAt);
      if (held === false) this.#lease.lose();
    };
    const timer = setInterval(() => void renew(), this.#lease.ms / 3);
    timer.unref();
    return () => clearInterval(timer);
  }

  #required(): Parts {
    if (!this.#parts) throw new RotorError('internal.bug', { what: 'the parts of the policy are not open' });
    return this.#parts;
  }

  #context(): StepContext {
    const { ledger, clock, random, fingerprintKey } = this.#saga;
    const run = this;
    const call = (ms = CALL_MS): Call => ({
      deadline: this.#lease.deadline().within(ms, clock),
      fence: this.#rotation.epoch,
      clock,
      random,
      log: this.#log,
    });
    const credential = async (context: StepContext, id: string) => {
      const known = this.#credentials.get(id) ?? (await readVersion(context, id));
      this.#credentials.set(id, known);
      return known;
    };
    const context: StepContext = {
      rotation: this.#rotation,
      spec: this.#rotation.spec,
      parts: this.#required(),
      get position() {
        return run.#position;
      },
      call,
      oldVersion: this.#oldVersion,
      newVersion: this.#newVersion,
      oldCredential: async () => (this.#oldVersion ? credential(context, this.#oldVersion) : undefined),
      newCredential: async () => credential(context, this.#newVersion ?? ''),
      now: () => ledgerNow(ledger),
      versions: () => listVersions(ledger, this.#rotation.policyUid),
      fingerprint: (made) => fingerprintOf(made, context, fingerprintKey),
      newId: () => random.uuid(),
    };
    return context;
  }
}

import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { formatDuration, parseDuration } from '../../../core/duration.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Deadline } from '../../../core/retry.ts';
import type { ConsumerProof, Rollout, RolloutSession } from '../rollout.ts';
import { type AllowedCommands, assertAllowed } from './allowed-commands.ts';
import { problemOf } from './health.ts';
import { signalledProcess } from './signal.ts';
import { type ReloadSpec, reloadSpec } from './spec.ts';
import { reload } from './trigger.ts';

/** How long `plan` waits for a consumer that happens to be starting. */
const PLAN_MS = 5_000;

/** Moves a consumer that reads its credential again when told: by HTTP, by a signal, or by a command. */
export function reloadRollout(deps: { readonly allowedCommands: AllowedCommands }): Rollout<ReloadSpec> {
  return {
    kind: 'reload',
    spec: reloadSpec,
    open: (consumer, spec) => new ReloadSession(consumer, spec, deps.allowedCommands),
  };
}

class ReloadSession implements RolloutSession {
  readonly consumer: string;
  readonly #spec: ReloadSpec;
  readonly #allowed: AllowedCommands;

  constructor(consumer: string, spec: ReloadSpec, allowed: AllowedCommands) {
    this.consumer = consumer;
    this.#spec = spec;
    this.#allowed = allowed;
  }

  async plan(call: Call): Promise<void> {
    this.#assertCommands();
    const { via } = this.#spec;
    if ('signal' in via) {
      await signalledProcess(this.consumer, via.signal.pidFile).catch((error: unknown) => {
        if (!(error instanceof RotorError)) throw error;
        throw new RotorError(error.code, { what: error.message, kind: 'terminal' });
      });
    }
    await this.#followHealth(call, PLAN_MS, undefined, 'before anything was changed');
  }

  async move(call: Call, credential: Credential): Promise<ConsumerProof> {
    this.#assertCommands();
    const { versionId } = credential;
    const done = await reload(call, this.consumer, this.#spec.via, versionId);
    const looks = await this.#followHealth(
      call,
      Number.POSITIVE_INFINITY,
      versionId,
      `after the reload to ${versionId}`,
    );
    const { health } = this.#spec;
    const reported = 'http' in health && health.http.versionPointer !== undefined;
    return {
      consumer: this.consumer,
      healthy: true,
      version: reported ? 'reported' : 'acknowledged',
      detail: `${done}; healthy at look ${looks}${reported ? `; reports version ${versionId}` : ''}`,
    };
  }

  #assertCommands(): void {
    const { via, health } = this.#spec;
    if ('command' in via) assertAllowed(`consumer ${this.consumer}`, via.command.run, this.#allowed);
    if ('command' in health) assertAllowed(`consumer ${this.consumer}`, health.command.run, this.#allowed);
  }

  /** Looks until it was healthy often enough in a row. @returns how many looks it took */
  async #followHealth(
    call: Call,
    atMostMs: number,
    versionId: string | undefined,
    when: string,
  ): Promise<number> {
    const { health, stableFor } = this.#spec;
    const patience = Math.min(atMostMs, milliseconds(this.#spec.healthTimeout));
    const deadline = call.deadline.within(patience);
    let inARow = 0;
    let problem: string | undefined = 'it was never looked at';
    for (let looks = 1; !deadline.expired; looks += 1) {
      const seen = await problemOf(deadline, this.consumer, health, versionId);
      inARow = seen === undefined ? inARow + 1 : 0;
      // A look that our own deadline cut short says less than the one before it.
      if (seen !== undefined && (!deadline.expired || looks === 1)) problem = seen;
      if (seen === undefined) problem = `healthy only ${inARow} times in a row instead of ${stableFor}`;
      if (inARow >= stableFor) return looks;
      await call.clock.sleep(Math.min(milliseconds(this.#spec.healthInterval), deadline.remainingMs()));
    }
    throw this.#notHealthy(call.deadline, when, patience, problem);
  }

  #notHealthy(outer: Deadline, when: string, patience: number, problem: string | undefined): RotorError {
    // Our turn ended before the consumer's time did: nothing is known yet, and moving may be repeated.
    if (outer.expired) {
      return new RotorError('call.timeout', {
        what: `consumer ${this.consumer} ${when}: no time left, ${problem}`,
      });
    }
    return new RotorError('rollout.unhealthy', {
      what: `consumer ${this.consumer} is not healthy ${when}, within ${formatDuration(patience)}: ${problem}`,
    });
  }
}

function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}

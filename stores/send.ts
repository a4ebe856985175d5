import type { Call } from '../core/call.ts';
import { RotorError } from '../core/errors.ts';
import { retry } from '../core/retry.ts';

/** Clouds let bursts of a few seconds through their quotas; longer waits are the saga's, which holds no worker for them. */
const PATIENCE = { attempts: 6, baseMs: 200, maxMs: 5_000 };

export interface Asking {
  /** `secret shop-app: secrets/set`, for messages. */
  readonly doing: string;
  /** What the SDK threw, in the family. */
  readonly translate: (thrown: unknown) => RotorError;
}

export type Send<T> = (options: { readonly abortSignal: AbortSignal }) => Promise<T>;

/** One question that changes nothing, repeated while the store throttles or the connection breaks. @throws RotorError `store.*` */
export async function ask<T>(call: Call, asking: Asking, send: Send<T>): Promise<T> {
  return patiently(call, asking, async () => {
    try {
      return await once(call, asking, send);
    } catch (thrown) {
      throw unsettled(thrown) ? again(thrown as RotorError) : thrown;
    }
  });
}

/**
 * One change that must not be made twice. After a lost answer `isDone` reads back whether it took hold; only if it didn't
 * is it sent again.
 * @throws RotorError `store.*`; ambiguous ones only when reading back failed too
 */
export async function change(
  call: Call,
  asking: Asking,
  send: Send<unknown>,
  isDone: () => Promise<boolean>,
): Promise<void> {
  await patiently(call, asking, async () => {
    try {
      await once(call, asking, send);
    } catch (thrown) {
      if (!unsettled(thrown) || call.deadline.expired) throw thrown;
      // When reading back fails too, the first error stands: what happened is not known.
      const done = await isDone().catch(() => undefined);
      if (done === undefined) throw thrown;
      if (!done) throw again(thrown as RotorError);
    }
  });
}

async function once<T>(call: Call, { doing, translate }: Asking, send: Send<T>): Promise<T> {
  try {
    return await call.deadline.run(doing, (abortSignal) => send({ abortSignal }));
  } catch (thrown) {
    throw thrown instanceof RotorError ? thrown : translate(thrown);
  }
}

function patiently<T>(call: Call, { doing }: Asking, work: () => Promise<T>): Promise<T> {
  const { deadline, clock, random, log } = call;
  return retry(work, {
    ...PATIENCE,
    deadline,
    clock,
    random: () => random.int(1_000) / 1_000,
    onRetry: (error, attempt) => log.debug({ err: error, attempt, doing }, 'asking the store again'),
  });
}

function unsettled(thrown: unknown): boolean {
  return thrown instanceof RotorError && thrown.kind === 'ambiguous' && thrown.code !== 'call.timeout';
}

function again(error: RotorError): RotorError {
  const { code, message: what, hint, cause } = error;
  return new RotorError(code, { what, hint, cause, kind: 'retryable' });
}

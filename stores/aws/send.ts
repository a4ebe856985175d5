import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { retry } from '../../core/retry.ts';
import { type Asked, awsError } from './errors.ts';

/** AWS lets bursts of a few seconds through its quotas; longer waits are the saga's, which holds no worker for them. */
const PATIENCE = { attempts: 6, baseMs: 200, maxMs: 5_000 };

type Send<T> = (options: { readonly abortSignal: AbortSignal }) => Promise<T>;
/** Reads what AWS answered before {@link awsError} does; undefined for what means nothing special here. */
export type Explain = (error: unknown) => RotorError | undefined;

const nothingSpecial: Explain = () => undefined;

/** One question that changes nothing, repeated while AWS throttles or the connection breaks. @throws RotorError `store.*` */
export async function ask<T>(call: Call, asked: Asked, send: Send<T>, explain = nothingSpecial): Promise<T> {
  return patiently(call, async () => {
    try {
      return await once(call, asked, send, explain);
    } catch (thrown) {
      throw unsettled(thrown) ? again(thrown as RotorError) : thrown;
    }
  });
}

/**
 * One change that AWS takes only once however often it is sent (by its token, or by its precondition). After a lost
 * answer `isDone` reads back whether it took hold; only if it didn't is it sent again.
 * @throws RotorError `store.*`; ambiguous ones only when reading back failed too
 */
export async function change(
  call: Call,
  asked: Asked,
  send: Send<unknown>,
  isDone: () => Promise<boolean>,
  explain = nothingSpecial,
): Promise<void> {
  await patiently(call, async () => {
    try {
      await once(call, asked, send, explain);
    } catch (thrown) {
      if (!unsettled(thrown) || call.deadline.expired) throw thrown;
      // When reading back fails too, the first error stands: what happened is not known.
      const done = await isDone().catch(() => undefined);
      if (done === undefined) throw thrown;
      if (!done) throw again(thrown as RotorError);
    }
  });
}

async function once<T>(call: Call, asked: Asked, send: Send<T>, explain: Explain): Promise<T> {
  try {
    return await call.deadline.run(`${asked.object}: ${asked.action}`, (abortSignal) =>
      send({ abortSignal }),
    );
  } catch (thrown) {
    throw explain(thrown) ?? awsError(thrown, asked);
  }
}

function patiently<T>(call: Call, work: () => Promise<T>): Promise<T> {
  const { deadline, clock, random, log } = call;
  return retry(work, {
    ...PATIENCE,
    deadline,
    clock,
    random: () => random.int(1_000) / 1_000,
    onRetry: (error, attempt) => log.debug({ err: error, attempt }, 'asking AWS again'),
  });
}

function unsettled(thrown: unknown): boolean {
  return thrown instanceof RotorError && thrown.kind === 'ambiguous' && thrown.code !== 'call.timeout';
}

function again(error: RotorError): RotorError {
  const { code, message: what, hint, cause } = error;
  return new RotorError(code, { what, hint, cause, kind: 'retryable' });
}

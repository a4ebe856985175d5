import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';

let fence = 1n;

/** A call as the saga makes it: a fresh fencing token, ten seconds. */
export function aCall(overrides: Partial<Call> = {}): Call {
  fence += 1n;
  return {
    deadline: Deadline.after(10_000),
    fence,
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    ...overrides,
  };
}

import type { Call } from '../../core/call.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';

/** A call with plenty of time and the given fencing token. */
export function callWith(fence: bigint, ms = 30_000): Call {
  return { deadline: Deadline.after(ms), fence, clock: systemClock, random: cryptoRandom, log: silentLog };
}

/** A call whose time runs out when it looks at its deadline for the `looks`-th time: a fault at a chosen point. */
export function callThatEndsAfter(looks: number, fence: bigint): Call {
  let asked = 0;
  const clock: Clock = {
    ...systemClock,
    // The first question comes from Deadline.after itself.
    monotonicMs: () => (asked++ <= looks ? 0 : 1_000_000),
  };
  return { ...callWith(fence), deadline: Deadline.after(1_000, clock) };
}

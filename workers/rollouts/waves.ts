import type { Going } from './rollout.ts';

/** One consumer on its way. `waiting`: not begun; `proven`: seen healthy on the version. */
export interface Mover {
  readonly wave: number;
  readonly state: 'waiting' | 'moving' | 'proven';
}

export interface WaveLimits {
  readonly maxMoving: number;
  readonly pauseMs: number;
}

export type Turn =
  /** Ask those on their way how far they are, and begin the others; places in the list of movers. */
  | { readonly do: 'move'; readonly which: readonly number[] }
  /** The wave before `wave` is proven, and the next one has still to wait. */
  | { readonly do: 'pause'; readonly wave: number; readonly forMs: number; readonly begins: boolean }
  | { readonly do: 'done' };

/**
 * Who moves now: wave after wave, a wave only when all before it are proven, and never more than `maxMoving` at once.
 * On the way back the order is reversed, and nobody pauses.
 * @param pausedMs how long the pause before a wave has lasted; undefined: it has not begun
 */
export function nextTurn(
  movers: readonly Mover[],
  { maxMoving, pauseMs }: WaveLimits,
  going: Going,
  pausedMs: (wave: number) => number | undefined,
): Turn {
  const order = movers
    .map((mover, index) => ({ ...mover, index }))
    .sort((a, b) => a.wave - b.wave || a.index - b.index);
  if (going === 'back') order.reverse();
  const moving = order.filter(({ state }) => state === 'moving');
  const first = order.find(({ state }) => state !== 'proven');
  if (!first) return { do: 'done' };
  const { wave } = first;
  const current = order.filter((mover) => mover.wave === wave);
  const isLater = order[0]?.wave !== wave;
  const untouched = moving.length === 0 && current.every(({ state }) => state === 'waiting');
  if (going === 'forward' && pauseMs > 0 && isLater && untouched) {
    const paused = pausedMs(wave);
    if (paused === undefined || paused < pauseMs)
      return { do: 'pause', wave, forMs: pauseMs - (paused ?? 0), begins: paused === undefined };
  }
  const free = Math.max(0, maxMoving - moving.length);
  const begun = current.filter(({ state }) => state === 'waiting').slice(0, free);
  return { do: 'move', which: [...moving, ...begun].map(({ index }) => index) };
}

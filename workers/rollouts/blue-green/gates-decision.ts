import { formatDuration, parseDuration } from '../../../core/duration.ts';
import type { Gate } from './gates-spec.ts';

/** What is known of one gate. Kept at the twin, so that any worker goes on where another stopped. */
export interface GateState {
  readonly passed?: true;
  readonly badLooks: number;
  /** Times in milliseconds since 1970, of the worker that looked. */
  readonly lookedAt?: number;
  /** Since when every look was good; absent after a bad one. */
  readonly goodSince?: number;
  /** What the last bad look saw. */
  readonly problem?: string;
}

export const UNASKED: GateState = { badLooks: 0 };

export type GateDecision =
  | { readonly do: 'look' }
  | { readonly do: 'pass' }
  | { readonly do: 'wait'; readonly words: string }
  | { readonly do: 'close'; readonly words: string };

/** What to do at a gate now. */
export function decideGate(gate: Gate, state: GateState, nowMs: number): GateDecision {
  if (state.passed) return { do: 'pass' };
  if (state.badLooks >= gate.attempts)
    return { do: 'close', words: `${state.problem} (${state.badLooks} bad looks)` };
  // A clock behind the one that looked before must not stop the looking.
  const since = state.lookedAt === undefined ? Number.POSITIVE_INFINITY : Math.abs(nowMs - state.lookedAt);
  if (since >= milliseconds(gate.interval)) return { do: 'look' };
  if (state.goodSince === undefined)
    return { do: 'wait', words: `${state.problem}; bad look ${state.badLooks} of ${gate.attempts}` };
  const held = formatDuration(Math.max(0, nowMs - state.goodSince));
  return { do: 'wait', words: `good for ${held} of ${formatDuration(holdMs(gate))}` };
}

/** What is known after a look. @param problem what was wrong; undefined when it was good */
export function afterLook(
  gate: Gate,
  state: GateState,
  problem: string | undefined,
  nowMs: number,
): GateState {
  if (problem !== undefined) return { badLooks: state.badLooks + 1, lookedAt: nowMs, problem };
  const goodSince = state.goodSince ?? nowMs;
  const good = { badLooks: state.badLooks, lookedAt: nowMs, goodSince };
  return nowMs - goodSince >= holdMs(gate) ? { ...good, passed: true } : good;
}

/** One gate, for people. */
export function nameOfGate(gate: Gate): string {
  if ('prometheus' in gate) return `prometheus "${gate.prometheus.query}" ${gate.prometheus.expect}`;
  if ('command' in gate) return `command ${gate.command.run[0]}`;
  // The address without its query, which may hold a token.
  const at = 'url' in gate.http ? withoutQuery(gate.http.url) : `:${gate.http.port}${gate.http.path}`;
  return `http ${at}`;
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function holdMs(gate: Gate): number {
  return 'prometheus' in gate ? milliseconds(gate.prometheus.for ?? '0s') : 0;
}

export function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}

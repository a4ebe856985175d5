import { z } from 'zod';
import { formatDuration, parseDuration } from './duration.ts';

export interface DurationBounds {
  /** Milliseconds. */
  readonly min?: number;
  /** Milliseconds. */
  readonly max?: number;
}

/** Zod schema of a duration as people write it (`"90s"`, `"1h30m"`); the parsed value is in milliseconds. */
export function duration(bounds: DurationBounds = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = bounds;
  return z
    .string({ error: 'needs a duration such as "90s", "1h30m" or "30d"' })
    .regex(/^(\d+(ms|s|m|h|d|w))+$/, 'needs a duration such as "90s", "1h30m" or "30d"')
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms !== undefined && ms >= min && ms <= max) return ms;
      const message =
        ms === undefined
          ? 'is too long a duration'
          : ms < min
            ? `needs to be at least ${formatDuration(min)}`
            : `needs to be at most ${formatDuration(max)}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    });
}

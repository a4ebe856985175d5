import { z } from 'zod';
import { duration } from '../../core/duration-schema.ts';

/** Files with the shared secrets of a source; two while one replaces the other. Read anew for each request. */
export const secretsFrom = z
  .array(z.strictObject({ file: z.string().min(1) }))
  .min(1)
  .max(5);

/** Policies that a sender of plain reports may name, `*` at the end for anything: its word alone makes them rotate. */
export const mayName = z.array(z.string().min(1).max(320)).max(100).default([]);

/** How old a signed time may be. Five minutes unless the sender repeats its deliveries for longer. */
export const windowOf = (ms: number) => duration({ min: 1_000, max: 7 * 86_400_000 }).default(ms);

export const FIVE_MINUTES_MS = 300_000;

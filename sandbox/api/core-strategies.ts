import type { Strategy } from './strategy.ts';

/** Kinds of the core group. */
export const coreStrategies: Readonly<Record<string, Strategy>> = {};

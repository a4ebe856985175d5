import type { Strategy } from './strategy.ts';

/** Kinds that run pods. */
export const workloadStrategies: Readonly<Record<string, Strategy>> = {};

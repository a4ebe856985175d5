export interface RolloutLimits {
  /** Consumers that may be on their way at once. */
  readonly maxMoving: number;
  /** Between the proof of one wave and the beginning of the next. */
  readonly pauseMs: number;
  /** How long a change of a workload waits for those of other credentials, to share one rollout with them. */
  readonly coalesceMs: number;
}

/**
 * What a rotation works by: policy, provider and store as they were when it was created. Parts that belong to
 * a rotator, store, delivery or rollout are kept as written in the manifest and parsed by its schema when opened.
 */
export interface RotationSpec {
  readonly rotator: { readonly kind: string; readonly provider?: unknown; readonly credential: unknown };
  readonly store: { readonly kind: string; readonly spec: unknown; readonly path: string };
  /** Where to find the credential that consumers use today, when the store has none yet. */
  readonly initialFrom?: { readonly file: string } | undefined;
  readonly deliver: readonly { readonly kind: string; readonly spec: unknown }[];
  readonly consumers: readonly {
    readonly name: string;
    readonly kind: string;
    readonly spec: unknown;
    /** Lower ones move first; 0 when absent. */
    readonly wave?: number | undefined;
  }[];
  /** How many consumers move at once, and when; one at a time without a pause when absent. */
  readonly rollout?: RolloutLimits | undefined;
  readonly settle: {
    readonly graceMs: number;
    readonly evidence: 'sessions' | 'time-only';
    readonly timeoutMs: number;
    readonly onTimeout: 'roll-back' | 'needs-human';
  };
  /** At most so many rotations of the provider at once. */
  readonly maxConcurrent?: number | undefined;
}

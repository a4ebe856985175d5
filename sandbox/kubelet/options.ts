import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import type { Backoff } from '../../core/retry.ts';

export interface KubeletOptions {
  readonly nodeName: string;
  /** Everything the node keeps: pods' volumes, logs and the list of its processes. Nobody else uses it. */
  readonly folder: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** What an image stands for: the start of a command line. */
  readonly images: Readonly<Record<string, readonly string[]>>;
  /** Whether pods without a node are taken onto this one. */
  readonly schedule?: boolean;
  /** How long a changed Secret or ConfigMap takes to reach the volumes; at once by default. */
  readonly refreshDelayMs?: number;
  /** Pauses before a crashed container starts again (after a first, immediate restart), and before an image is looked for again. */
  readonly restartBackoff?: Backoff;
  /** Address of the pods and of the node. */
  readonly address?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Milliseconds between heartbeats. */
  readonly heartbeatMs?: number;
}

/** Options with every default filled in. */
export type Settings = Required<KubeletOptions>;

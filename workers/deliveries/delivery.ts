import type { z } from 'zod';
import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';

/** Copies a version to where consumers read it. All methods may be repeated. */
export interface DeliverySession {
  /** What is delivered to, for people and the journal: `file /run/app/db.json`. */
  readonly target: string;
  /** @throws RotorError terminal when this worker can't deliver there (missing directory, unknown owner). */
  plan(call: Call): Promise<void>;
  /**
   * Replaces what is there by `credential`, all at once or not at all.
   * @throws RotorError `cluster.not-found` when a place for it is gone; all others have it then
   */
  deliver(call: Call, credential: Credential): Promise<void>;
  /** Whether exactly `credential` is there now. */
  holds(call: Call, credential: Credential): Promise<boolean>;
}

export interface Delivery<Spec = unknown> {
  /** Key under which manifests name it (`deliver[].file`). */
  readonly kind: string;
  readonly spec: z.ZodType<Spec>;
  open(spec: Spec): DeliverySession;
}

import type { SecretValue } from '../../core/secret.ts';
import type { NewRead } from '../../ledger/secret-reads.ts';

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];
/** Whether the source has tried the secret and it worked. */
export type Validity = 'active' | 'inactive' | 'unknown';
/** Who can see it where it was found. */
export type Exposure = 'public' | 'internal' | 'unknown';

/**
 * What points to a credential without being its secret. Each is a short name in plain characters, whatever the payload
 * held: free text of strangers, which may quote a secret, is not kept.
 */
export interface Hints {
  readonly accessKeyId?: string | undefined;
  /** User, role or account at the provider. */
  readonly identity?: string | undefined;
  /** A native Secret, `namespace/name`. */
  readonly secretName?: string | undefined;
  /** Path in the store. */
  readonly storePath?: string | undefined;
  /** A policy, `namespace/name`. */
  readonly policy?: string | undefined;
}

/** An alert of GitHub's secret scanning, by which it is resolved later. */
export interface GithubAlert {
  readonly owner: string;
  readonly repo: string;
  readonly number: number;
}

/** One thing that a source reports. */
export interface Report {
  /** `leak`: somebody may have the secret. `suspicion`: something points at misuse. `rotate`: it is time for a new one. */
  readonly about: 'leak' | 'suspicion' | 'rotate';
  /** The source's own word for it: type of the secret, of the finding, name of the rule. */
  readonly type: string;
  /** By which the source knows it: number of the alert, id of the event. */
  readonly reference: string;
  /** What was found. Fingerprinted at once, and nowhere after that. */
  readonly found: readonly SecretValue[];
  readonly hints: Hints;
  readonly alert?: GithubAlert | undefined;
  readonly severity: Severity;
  readonly validity: Validity;
  readonly exposure: Exposure;
}

/** An event of a cloud that says it is time for a new credential, and whose. */
export interface RotationRequest {
  /** Kind of the stores that keep such secrets: `awsSecretsManager`. */
  readonly storeKind: string;
  /** What the secret may be called there; several where the event leaves it open. */
  readonly names: readonly string[];
  /** Where it is: `region`, `account`, `vault`, `project`. @see EventAddress of the stores */
  readonly within: Readonly<Record<string, string>>;
  /** The source's own word for it. */
  readonly type: string;
  readonly reference: string;
  /** By which the same event is known again, by whichever way it comes. */
  readonly key: string;
  /** When it happened there. */
  readonly at: Date | undefined;
  /** Who did what the event tells of, where somebody did. */
  readonly by?: string | undefined;
}

/** What a request of a source turned out to be. */
export type Message =
  | {
      readonly kind: 'reports';
      /** By which a repetition of this very delivery is recognised. */
      readonly deliveryId: string;
      readonly reports: readonly Report[];
      /** What the source has to be asked for before the (only) report is complete; plain JSON, kept until it is answered. */
      readonly wanted?: unknown;
      /** What the sender is told. @param known for each report whether any credential of ours was in it */
      readonly answer?: (known: readonly boolean[]) => unknown;
    }
  /** Proof that the address is ours. `body` is answered; `confirm` is an address, checked already, to be fetched. */
  | {
      readonly kind: 'handshake';
      readonly body?: Readonly<Record<string, string>>;
      readonly confirm?: string;
    }
  /** Rotations that somebody asks for; no incident. */
  | {
      readonly kind: 'rotations';
      readonly deliveryId: string;
      readonly requests: readonly RotationRequest[];
    }
  /** Reads of Secrets, to be put on record. @see recordReads for `context` */
  | {
      readonly kind: 'reads';
      readonly deliveryId: string;
      readonly context: string | undefined;
      readonly reads: readonly NewRead[];
    }
  /** Authentic, and nothing to act on. */
  | { readonly kind: 'nothing'; readonly deliveryId: string; readonly why: string };

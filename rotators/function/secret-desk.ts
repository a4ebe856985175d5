import type { Call } from '../../core/call.ts';
import type { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';

/** Steps that may change something by the API; all others only read. */
export type Doing = 'create' | 'finish' | 'read';

export interface ShownVersion {
  readonly versionId: string;
  readonly document: SecretValue;
}

/** An access key as AWS has them. */
export interface LoanKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: SecretValue;
}

/** What one invocation of a rotation function gets to see of one secret, and what it may do to it. */
export interface Loan {
  /** Step of the rotation, for messages. */
  readonly step: string;
  /** ClientRequestToken: the version that the invocation is about. */
  readonly token: string;
  readonly doing: Doing;
  /**
   * AWSCURRENT, and AWSPENDING on `token`, in place of those that the store has: for steps that only read, about versions
   * that the rotation knows. Without it the function sees the store as it is.
   */
  readonly shown?: { readonly current: ShownVersion; readonly pending?: ShownVersion };
  /** With `create`: PutSecretValue is kept in memory, and the store learns nothing. */
  readonly rehearsed?: true;
  /** With `finish`: the version that must be AWSCURRENT now. */
  readonly expected?: string;
  /** Another secret that may be read, such as the admin's that `masterarn` names. */
  readonly other?: { readonly secretId: string; readonly document: SecretValue };
  /** What a function elsewhere signs with; without it a key is made for this invocation alone. */
  readonly key?: LoanKey;
}

/** An open loan. It ends with the call that it was taken out in, at the latest. */
export interface Lent {
  /** Address of the API. */
  readonly endpoint: string;
  readonly region: string;
  /** What the function calls the secret: an ARN of this invocation alone. */
  readonly secretId: string;
  readonly key: LoanKey;
  /** Absent with a key of one's own. */
  readonly sessionToken: SecretValue | undefined;
  /** What the function has put for `token`. */
  readonly put: SecretValue | undefined;
  /** Values that went in or out and must not be quoted. */
  readonly handed: readonly SecretValue[];
  /** Why the last call of the function that did not succeed didn't: the store behind it, or a right that it hasn't. */
  readonly problem: RotorError | undefined;
  end(): void;
}

/**
 * The versions of one policy, as AWS Secrets Manager would show them to a rotation function. A rotator never writes to a
 * store: the function does, by the API that is open to it during a step.
 */
export interface SecretDesk {
  lend(call: Call, loan: Loan): Promise<Lent>;
  /** A version as it is kept. */
  read(
    call: Call,
    which: 'current' | 'previous' | { readonly versionId: string },
  ): Promise<ShownVersion | undefined>;
}

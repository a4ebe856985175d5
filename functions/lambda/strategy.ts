import type { Call } from '../../core/call.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { Environment } from './environment.ts';

/** What a strategy gets to know besides the contents of the secret. */
export interface Turn {
  readonly call: Call;
  readonly env: Environment;
  readonly secretId: string;
  readonly versionId: string;
  /** Contents of another secret's AWSCURRENT, such as the admin's that `masterarn` names. */
  readonly readOther: (secretId: string) => Promise<SecretValue>;
}

export interface Versions {
  readonly pending: SecretValue;
  readonly current: SecretValue;
  readonly previous: SecretValue | undefined;
}

/**
 * How one kind of secret goes through the steps of a rotation. Every method may be repeated, at any time before AWSCURRENT
 * is moved: a step that was cut off is simply invoked again.
 */
export interface Strategy {
  /** Contents of the new version. Random, so they are staged before anything else learns of them. */
  create(turn: Turn, current: SecretValue): Promise<SecretValue>;
  /** Makes the provider accept the pending version. */
  set(turn: Turn, versions: Versions): Promise<void>;
  /** Uses the pending version for real. @throws RotorError when it is refused */
  test(turn: Turn, pending: SecretValue): Promise<void>;
}

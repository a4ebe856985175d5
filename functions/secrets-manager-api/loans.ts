import type { Call } from '../../core/call.ts';
import type { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Loan, LoanKey } from '../../rotators/function/secret-desk.ts';
import { type SignedRequest, signatureProblem } from '../host/sigv4.ts';
import type { Versions } from './versions.ts';

/** An invocation that may use the API now. */
export interface OpenLoan {
  readonly loan: Loan;
  readonly call: Call;
  readonly versions: Versions;
  readonly arn: string;
  readonly name: string;
  readonly key: LoanKey;
  readonly sessionToken: SecretValue | undefined;
  readonly handed: SecretValue[];
  put: SecretValue | undefined;
  /** By operation: why its last call didn't succeed. */
  readonly problems: Map<string, RotorError>;
}

/** Who may use the API now. A key is worth something only as long as its invocation lasts. */
export class Loans {
  readonly #open = new Set<OpenLoan>();

  add(loan: OpenLoan): void {
    this.#open.add(loan);
  }

  remove(loan: OpenLoan): void {
    this.#open.delete(loan);
    if (!loan.loan.key) loan.key.secretAccessKey.destroy();
  }

  /**
   * The invocation whose key signed `request`; with a key that several share, the one whose secret it names.
   * @returns why there is none, for the log: the sender isn't told
   */
  find(request: SignedRequest, secretId: string | undefined): OpenLoan | string {
    const keyId = /\bCredential=([^/,\s]+)\//.exec(request.headers.authorization ?? '')?.[1];
    if (keyId === undefined) return 'there is no signature (Authorization: AWS4-HMAC-SHA256)';
    let problem = 'the key is of no invocation that is running';
    for (const each of this.#open) {
      if (each.key.accessKeyId !== keyId || each.call.deadline.expired) continue;
      const shared = each.sessionToken === undefined;
      if (shared && secretId !== undefined && secretId !== each.arn && secretId !== each.loan.other?.secretId)
        continue;
      const wrong = signatureProblem(request, each.key, 'secretsmanager', each.call.clock.now());
      if (wrong !== undefined) {
        problem = wrong;
        continue;
      }
      if (each.sessionToken && !isShown(each.sessionToken, request)) {
        problem = 'the session token is another one';
        continue;
      }
      return each;
    }
    return problem;
  }
}

function isShown(token: SecretValue, { headers }: SignedRequest): boolean {
  return SecretValue.of(headers['x-amz-security-token'] ?? '').equals(token);
}

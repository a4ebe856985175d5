import type { Call } from '../../core/call.ts';
import {
  type Credential,
  type CredentialFormat,
  decodeCredential,
  encodeCredential,
} from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { Invoker, StepOutcome } from './invoke.ts';
import { secretsOf, stepFailed } from './refusal.ts';
import type { Lent, Loan, LoanKey, SecretDesk, ShownVersion } from './secret-desk.ts';

export interface StepsOptions {
  readonly desk: SecretDesk;
  readonly invoker: Invoker;
  readonly format: CredentialFormat;
  readonly timeoutMs: number;
  /** Key of a function elsewhere; read anew for each step. */
  readonly key: () => Promise<LoanKey | undefined>;
  /** Document of the admin's secret. */
  readonly admin: () => Promise<SecretValue | undefined>;
}

/** A loan, and what the secret calls the admin's. */
type Wanted = Loan & { readonly masterarn?: string };

/** One step of the contract about one version, with the API open to the function for as long as it takes. */
export class Steps {
  readonly #options: StepsOptions;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** createSecret: the function stages a new version by the API. What it has staged for this version already stays. */
  async create(call: Call, versionId: string): Promise<Credential> {
    const lent = await this.#must(call, { step: 'createSecret', token: versionId, doing: 'create' });
    const document = lent.put ?? (await this.#options.desk.read(call, { versionId }))?.document;
    return this.#made(versionId, document);
  }

  /** createSecret, and nobody keeps what it makes. */
  async rehearse(call: Call, token: string, current: Credential): Promise<Credential> {
    const shown = { current: shownOf(current) };
    const loan = { step: 'createSecret', token, doing: 'create', shown, rehearsed: true } as const;
    return this.#made(token, (await this.#must(call, loan)).put);
  }

  /** setSecret: the provider accepts `pending` in place of, or beside, `current`. */
  async set(call: Call, pending: Credential, current: Credential): Promise<void> {
    await this.#must(call, this.#about('setSecret', pending, current));
  }

  /**
   * testSecret. The version goes by an id of this test alone: one that the function sees as AWSCURRENT it would call done
   * without trying it.
   * @returns undefined when the function says that `tried` works, else what it says
   */
  async test(
    call: Call,
    tried: Credential,
    current: Credential,
  ): Promise<{ readonly said: RotorError } | undefined> {
    const pending = { ...tried, versionId: call.random.uuid() };
    const loan = await this.#loan(this.#about('testSecret', pending, current));
    const { outcome, lent } = await this.#invoke(call, loan);
    if (outcome.ok) return undefined;
    const said = this.#failed('testSecret', outcome, lent);
    if (lent.problem) throw said;
    return { said };
  }

  /** finishSecret: the function moves AWSCURRENT by the API. */
  async finish(call: Call, versionId: string, expected: string): Promise<void> {
    await this.#must(call, { step: 'finishSecret', token: versionId, doing: 'finish', expected });
  }

  /** A step beyond those of AWS, about a version that is no longer in use. */
  async other(call: Call, step: string, about: Credential, current: Credential): Promise<void> {
    await this.#must(call, this.#about(step, about, current));
  }

  #about(step: string, pending: Credential, current: Credential): Wanted {
    const shown = { current: shownOf(current), pending: shownOf(pending) };
    const { masterarn } = current.fields;
    // Who only tries a credential needs no admin.
    const admin = masterarn === undefined || step === 'testSecret' ? {} : { masterarn };
    return { step, token: pending.versionId, doing: 'read', shown, ...admin };
  }

  async #loan({ masterarn, ...loan }: Wanted): Promise<Loan> {
    const document = masterarn === undefined ? undefined : await this.#options.admin();
    const key = await this.#options.key();
    return {
      ...loan,
      ...(document && masterarn !== undefined ? { other: { secretId: masterarn, document } } : {}),
      ...(key ? { key } : {}),
    };
  }

  async #must(call: Call, loan: Wanted): Promise<Lent> {
    const { outcome, lent } = await this.#invoke(call, await this.#loan(loan));
    if (!outcome.ok) throw this.#failed(loan.step, outcome, lent);
    return lent;
  }

  async #invoke(call: Call, loan: Loan): Promise<{ readonly outcome: StepOutcome; readonly lent: Lent }> {
    const { desk, invoker, timeoutMs } = this.#options;
    const within: Call = { ...call, deadline: call.deadline.within(timeoutMs, call.clock) };
    within.deadline.assertTime(this.#doing(loan.step));
    const lent = await desk.lend(within, loan);
    try {
      const event = { Step: loan.step, SecretId: lent.secretId, ClientRequestToken: loan.token };
      return { outcome: await invoker.invoke(within, event, lent), lent };
    } finally {
      lent.end();
    }
  }

  #failed(
    step: string,
    outcome: StepOutcome & { readonly ok: false },
    { problem, handed }: Lent,
  ): RotorError {
    const secrets = secretsOf(handed, this.#options.format.secrets);
    return stepFailed(this.#doing(step), outcome, { problem, secrets });
  }

  #made(versionId: string, document: SecretValue | undefined): Credential {
    if (document) return decodeCredential(versionId, document, this.#options.format);
    throw new RotorError('function.failed', {
      what: `${this.#doing('createSecret')}: it says that it is done, and has put no secret value`,
      hint: 'Let createSecret call PutSecretValue with its ClientRequestToken and the stage AWSPENDING.',
      kind: 'terminal',
    });
  }

  #doing(step: string): string {
    return `${step} of ${this.#options.invoker.name}`;
  }
}

function shownOf(credential: Credential): ShownVersion {
  return { versionId: credential.versionId, document: encodeCredential(credential) };
}

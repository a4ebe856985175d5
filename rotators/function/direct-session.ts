import type { Call } from '../../core/call.ts';
import type { Credential, CredentialFormat } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { generatePassword } from '../../core/password.ts';
import type { Capabilities, PlanReport, RotatorSession, Usage } from '../rotator.ts';
import { type Invoker, ownLimit } from './invoke.ts';
import type { CredentialSpec } from './spec.ts';

type DirectSpec = Exclude<CredentialSpec, { mode: 'new-key' }> & { readonly secretId: string };

interface DirectParts {
  readonly invoker: Invoker;
  readonly format: CredentialFormat;
  readonly timeoutMs: number;
  readonly callMs: number;
  readonly lingersMs: number;
}

/** Users that take turns are named so by every function of AWS. */
const SUFFIX = '_clone';

/**
 * A function that works on AWS Secrets Manager itself, with its own role, where the policy's store keeps the versions too.
 * Rotor makes the new version and stages it, since functions demand that it is there before createSecret; the function does
 * the rest. It can try only what is AWSPENDING: the old credential is neither tried nor killed, and nobody says so.
 */
export class DirectSession implements RotatorSession {
  readonly capabilities: Capabilities;
  readonly format: CredentialFormat;
  readonly callMs: number;
  readonly lingersMs: number;
  readonly #spec: DirectSpec;
  readonly #parts: DirectParts;

  constructor(spec: DirectSpec, parts: DirectParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.format = parts.format;
    this.callMs = parts.callMs;
    this.lingersMs = parts.lingersMs;
    this.capabilities = {
      overlap: spec.mode === 'single-user' ? 'none' : 'two-identities',
      issuedBy: 'rotor',
      seesUsage: false,
      fence: 'deadline',
      leavesOld: 'untried',
      needsPending: true,
    };
  }

  async plan(call: Call, current: Credential | undefined): Promise<PlanReport> {
    const { invoker, timeoutMs } = this.#parts;
    const { name } = invoker;
    required(current);
    const unsure = await ownLimit(call, invoker, timeoutMs);
    return {
      actions: [
        `stage a new value of ${this.#spec.secretId}`,
        `${name} sets it, tries it and makes it current (createSecret, setSecret, testSecret, finishSecret)`,
      ],
      warnings: [
        'the current credential is not tried before: the function tries new ones only',
        `the old credential is neither tried nor revoked${this.#spec.mode === 'alternating-users' ? '; the next rotation overwrites it' : ''}`,
        `${name} neither shows nor ends sessions of the old credential`,
        ...unsure,
      ],
    };
  }

  async generate(call: Call, versionId: string, current: Credential | undefined): Promise<Credential> {
    const old = required(current);
    const identity = this.#spec.mode === 'single-user' ? old.identity : otherUser(old.identity);
    const [replaced] = this.format.secrets;
    return {
      ...old,
      versionId,
      identity,
      fields: { ...old.fields, ...(this.format.identity ? { [this.format.identity]: identity } : {}) },
      secrets: { ...old.secrets, [replaced]: generatePassword(this.#spec.password, call.random) },
    };
  }

  async prepare(call: Call, pending: Credential): Promise<void> {
    await this.#must(call, 'createSecret', pending);
  }

  async install(call: Call, pending: Credential): Promise<void> {
    await this.#must(call, 'setSecret', pending);
  }

  /** Of a version that is AWSPENDING. */
  async attempt(call: Call, tried: Credential): Promise<'accepted' | 'refused'> {
    return (await this.#invoke(call, 'testSecret', tried)) === undefined ? 'accepted' : 'refused';
  }

  async finish(call: Call, pending: Credential): Promise<void> {
    await this.#must(call, 'finishSecret', pending);
  }

  /**
   * The function can take nothing back. A test that fails doesn't help either: whether the credential is refused or the
   * function has another trouble, nobody can tell without another one to compare with.
   */
  async uninstall(call: Call, pending: Credential): Promise<void> {
    const accepted = (await this.attempt(call, pending)) === 'accepted';
    const { identity } = pending;
    const seen = accepted
      ? `the provider accepts the new credential of ${identity}`
      : `whether the provider accepts the new credential of ${identity} is not known (testSecret fails)`;
    const right =
      this.#spec.mode === 'single-user' ? 'the password of AWSCURRENT' : 'a password that nobody has';
    throw new RotorError('rotation.needs-human', {
      what: `${seen}, and the function can't take it back; it is kept as AWSPENDING`,
      hint: `See which password ${identity} has at the provider, and give it ${right} by hand; resuming the rotation confirms that.`,
    });
  }

  async usage(): Promise<Usage> {
    return { sessions: undefined, clients: [] };
  }

  async revoke(): Promise<void> {
    throw new RotorError('internal.bug', {
      what: 'a function that leaves the old credential was to revoke it',
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #must(call: Call, step: string, about: Credential): Promise<void> {
    const failed = await this.#invoke(call, step, about);
    if (failed) throw failed;
  }

  async #invoke(call: Call, step: string, about: Credential): Promise<RotorError | undefined> {
    const { invoker, timeoutMs } = this.#parts;
    const within: Call = { ...call, deadline: call.deadline.within(timeoutMs, call.clock) };
    const event = { Step: step, SecretId: this.#spec.secretId, ClientRequestToken: about.versionId };
    const outcome = await invoker.invoke(within, event, undefined);
    if (outcome.ok) return undefined;
    // It reads secrets by itself, the current and the admin's among them, which nobody here knows to look for.
    const { errorType } = outcome;
    const type = /^[\w.:]{1,80}$/.test(errorType) ? errorType : 'an error';
    return new RotorError('function.failed', {
      what: `${step} of ${invoker.name}: ${type}; what it said is in its own log`,
    });
  }
}

function otherUser(username: string): string {
  return username.endsWith(SUFFIX) ? username.slice(0, -SUFFIX.length) : `${username}${SUFFIX}`;
}

function required(current: Credential | undefined): Credential {
  if (current) return current;
  throw new RotorError('provider.refused-credential', {
    what: 'there is no current version, and a rotation function makes a new one out of the one in use',
    hint: 'Put the credential in use into the secret.',
  });
}

import type { Call } from '../../core/call.ts';
import { type Credential, type CredentialFormat, decodeCredential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Capabilities, PlanReport, RotatorSession, Usage } from '../rotator.ts';
import { overwrite } from './overwrite.ts';
import type { SecretDesk, ShownVersion } from './secret-desk.ts';
import type { CredentialSpec } from './spec.ts';
import type { Steps } from './steps.ts';

export interface FunctionParts {
  readonly name: string;
  readonly steps: Steps;
  readonly desk: SecretDesk;
  readonly callMs: number;
  /** Absent for a function that ends with its call. */
  readonly lingersMs?: number;
  /** Looks whether the function ends before its call does. @returns warnings */
  readonly ownLimit: (call: Call) => Promise<readonly string[]>;
}

const PLACE = ['engine', 'host', 'port', 'dbname'];

/** A credential that a rotation function of somebody else changes, by the four steps of AWS's contract. */
export class FunctionSession implements RotatorSession {
  readonly capabilities: Capabilities;
  readonly format: CredentialFormat;
  readonly callMs: number;
  readonly lingersMs?: number;
  readonly stagesItself = true;
  readonly #parts: FunctionParts;
  readonly #spec: CredentialSpec;
  /** Credentials that the function found to work in this session. */
  readonly #working = new Map<string, Credential>();

  constructor(spec: CredentialSpec, parts: FunctionParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.callMs = parts.callMs;
    if (parts.lingersMs !== undefined) this.lingersMs = parts.lingersMs;
    this.format = formatOf(spec);
    this.capabilities = {
      overlap: spec.mode === 'single-user' ? 'none' : 'two-identities',
      issuedBy: spec.mode === 'new-key' ? 'provider' : 'rotor',
      seesUsage: false,
      fence: 'deadline',
      ...(spec.mode === 'single-user' ? { needsPending: true as const } : {}),
      ...(spec.mode === 'new-key' && !spec.revokeStep ? { leavesOld: 'tried' as const } : {}),
    };
  }

  async plan(call: Call, current: Credential | undefined, leaked?: boolean): Promise<PlanReport> {
    const { name, steps } = this.#parts;
    if (!current) {
      throw new RotorError('provider.refused-credential', {
        what: `there is no current version, and ${name} makes a new one out of the one in use`,
        hint: 'Name the credential in use in `initialFrom`.',
      });
    }
    const unsure = await this.#parts.ownLimit(call);
    if (!leaked) {
      const failed = await steps.test(call, current, current);
      if (failed)
        throw new RotorError('provider.refused-credential', {
          what: `the current credential${named(current)} does not work, says ${failed.said.message}`,
        });
      this.#working.set(current.versionId, current);
    }
    return { actions: this.#actions(), warnings: [...this.#warnings(), ...unsure] };
  }

  async generate(call: Call, versionId: string, current: Credential | undefined): Promise<Credential> {
    const made = await this.#parts.steps.create(call, versionId);
    const old = required(current);
    // Who writes the function's answer must not make it change somebody else's credential.
    const moved = PLACE.find((field) => made.fields[field] !== old.fields[field]);
    const strays =
      moved ??
      (this.#spec.mode === 'single-user' && made.identity !== old.identity ? this.#spec.identity : undefined);
    if (strays !== undefined) {
      throw new RotorError('provider.refused-credential', {
        what: `createSecret of ${this.#parts.name}: the new version has another "${strays}" than the current one`,
        hint: 'See that the function fits `mode` of the policy, and that nobody else writes the secret.',
      });
    }
    return made;
  }

  async install(call: Call, pending: Credential, current: Credential | undefined): Promise<void> {
    await this.#parts.steps.set(call, pending, required(current));
  }

  /**
   * A function that fails may mean that the credential is refused, or that it reached nobody: it counts as refused only
   * when another credential works right after.
   */
  async attempt(call: Call, credential: Credential): Promise<'accepted' | 'refused'> {
    const { steps, name } = this.#parts;
    const others = (await this.#controls(call, credential)).filter(
      ({ versionId }) => versionId !== credential.versionId,
    );
    const whole = completed(credential, others[0], this.format);
    const failed = await steps.test(call, whole, others[0] ?? whole);
    if (!failed) {
      this.#working.set(credential.versionId, credential);
      return 'accepted';
    }
    this.#working.delete(credential.versionId);
    for (const other of others) {
      if (await steps.test(call, other, other)) {
        this.#working.delete(other.versionId);
        continue;
      }
      this.#working.set(other.versionId, other);
      return 'refused';
    }
    throw new RotorError('provider.unreachable', {
      what: `${name} finds that no known credential works, so nobody can tell whether${named(credential)} is refused; ${failed.said.message}`,
      hint: 'Look at the log of the function: does it reach the provider?',
    });
  }

  async finish(call: Call, pending: Credential, current: Credential | undefined): Promise<void> {
    await this.#parts.steps.finish(call, pending.versionId, required(current).versionId);
  }

  async uninstall(call: Call, pending: Credential, current: Credential | undefined): Promise<void> {
    const old = required(current);
    switch (this.#spec.mode) {
      case 'single-user':
        // The same contract the other way round: the old version is the one that is to be set.
        await this.#parts.steps.set(call, old, pending);
        if ((await this.#parts.steps.test(call, old, pending)) === undefined) return;
        throw new RotorError('provider.proof-failed', {
          what: `the old credential of ${old.identity} was set again, and does not work`,
          kind: 'retryable',
        });
      case 'alternating-users':
        return overwrite(this.#parts.steps, call, pending, old);
      case 'new-key':
        if ((await this.attempt(call, pending)) === 'refused') return;
        if (this.#spec.revokeStep) return this.#parts.steps.other(call, this.#spec.revokeStep, pending, old);
        throw new RotorError('rotation.needs-human', {
          what: `the new credential${named(pending)} works, nobody uses it, and ${this.#parts.name} has no step to revoke it`,
          hint: 'Revoke it at its provider by hand; or name a `revokeStep`.',
        });
    }
  }

  /** The contract has no question for it. */
  async usage(): Promise<Usage> {
    return { sessions: undefined, clients: [] };
  }

  async revoke(call: Call, old: Credential, current: Credential): Promise<void> {
    const isRefused = async () => (await this.attempt(call, old)) === 'refused';
    switch (this.#spec.mode) {
      case 'single-user':
        // It was replaced at `install`, unless a failover has brought it back.
        return (await isRefused()) ? undefined : this.#parts.steps.set(call, current, old);
      case 'alternating-users':
        return overwrite(this.#parts.steps, call, old, current);
      case 'new-key':
        if (this.#spec.revokeStep && !(await isRefused()))
          await this.#parts.steps.other(call, this.#spec.revokeStep, old, current);
    }
  }

  close(): Promise<void> {
    this.#working.clear();
    return Promise.resolve();
  }

  /** Credentials to compare with: those that worked a moment ago, and the store's. */
  async #controls(call: Call, tried: Credential): Promise<readonly Credential[]> {
    const known = [...this.#working.values()].reverse();
    if (known.some(({ versionId }) => versionId !== tried.versionId)) return known;
    const found: Credential[] = [];
    for (const which of ['current', 'previous'] as const) {
      const kept = await this.#parts.desk.read(call, which);
      if (kept) found.push(...decoded(kept, this.format));
    }
    return found;
  }

  #actions(): readonly string[] {
    const { name } = this.#parts;
    const made = this.#spec.mode === 'new-key' ? 'makes a new credential' : 'gives a user a new password';
    const ends = {
      'single-user': 'setSecret replaces the old one in place',
      'alternating-users':
        'the old one is overwritten with a password that nobody has, by setSecret once more',
      'new-key':
        this.#spec.mode === 'new-key' && this.#spec.revokeStep
          ? `the old one is revoked by the step ${this.#spec.revokeStep}`
          : 'the old one is left as it is, and tried',
    }[this.#spec.mode];
    return [`${name} ${made} (createSecret, setSecret, testSecret, finishSecret)`, ends];
  }

  #warnings(): readonly string[] {
    return [
      `${this.#parts.name} neither shows nor ends sessions of the old credential`,
      ...(this.#spec.mode === 'single-user'
        ? ['no overlap: new logins with the old secret are refused until each consumer has reloaded']
        : []),
      ...(this.capabilities.leavesOld
        ? ['the old credential is not revoked: the function has no step for it']
        : []),
    ];
  }
}

export function formatOf({ identity, secrets }: CredentialSpec): CredentialFormat {
  return { identity, secrets: secrets as [string, ...string[]] };
}

function named({ identity }: Credential): string {
  return identity === '' ? '' : ` of ${identity}`;
}

function required(current: Credential | undefined): Credential {
  if (current) return current;
  throw new RotorError('internal.bug', { what: 'a rotation function was to work without a current version' });
}

/**
 * Of a credential that is known by name and secret only, such as one from a report: a function that misses a field fails,
 * and that would look like a refusal.
 */
function completed(
  credential: Credential,
  other: Credential | undefined,
  { identity, secrets }: CredentialFormat,
): Credential {
  if (identity === undefined || identity in credential.fields) return credential;
  const missing = secrets.find((name) => !(name in credential.secrets));
  if (!other || missing !== undefined) {
    throw new RotorError('credential.malformed', {
      what: `credential version ${credential.versionId}${named(credential)} is not known as a whole, and can't be tried`,
    });
  }
  return { ...credential, fields: { ...other.fields, [identity]: credential.identity } };
}

/** One that can't be read is no credential to compare with. */
function decoded({ versionId, document }: ShownVersion, format: CredentialFormat): readonly Credential[] {
  try {
    return [decodeCredential(versionId, document, format)];
  } catch {
    return [];
  }
}

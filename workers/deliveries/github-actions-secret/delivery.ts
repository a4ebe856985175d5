import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { SecretValue } from '../../../core/secret.ts';
import type { Delivery, DeliverySession, Difference } from '../delivery.ts';
import { formOf } from '../form.ts';
import { fillTemplate, valuesOf } from '../template.ts';
import { GithubApi } from './api.ts';
import { placesOf } from './places.ts';
import { differenceOf, recordName } from './record.ts';
import { type GithubActionsSecretSpec, type GithubSecret, githubActionsSecretSpec } from './spec.ts';
import { GithubTokens } from './token.ts';

/** "Secrets are limited to 48 KB in size" (docs.github.com, "Secrets reference"). */
const LONGEST = 48 * 1024;

/** Writes the credential into secrets of GitHub Actions or Dependabot. */
export function githubActionsSecretDelivery(): Delivery<GithubActionsSecretSpec> {
  const tokens = new GithubTokens();
  return {
    kind: 'githubActionsSecret',
    spec: githubActionsSecretSpec,
    open: (spec) => new GithubActionsSecretSession(spec, tokens),
  };
}

class GithubActionsSecretSession implements DeliverySession {
  readonly target: string;
  readonly warnings: readonly string[];
  readonly #spec: GithubActionsSecretSpec;
  readonly #api: GithubApi;

  constructor(spec: GithubActionsSecretSpec, tokens: GithubTokens) {
    this.#spec = spec;
    const names = spec.secrets.map(({ name }) => name).join(', ');
    const kind = spec.dependabot ? 'dependabot' : 'github';
    this.target = `${kind} secret ${names} of ${placesOf(spec).name} at ${new URL(spec.apiUrl).host}`;
    this.warnings =
      spec.secrets.length > 1
        ? [
            `${this.target}: written one after the other, so that a workflow that starts meanwhile may see both versions`,
          ]
        : [];
    this.#api = new GithubApi(this.target, spec, tokens);
  }

  async plan(call: Call, current?: Credential): Promise<void> {
    if (current) for (const value of this.#filled(current).values()) value.destroy();
    await this.#api.look(call);
    for (const { name } of this.#spec.secrets) await this.#assertOurs(call, name);
  }

  /**
   * All values are made before the first is sent. Each secret: the record says that it is being written, then the secret, then
   * the record says when GitHub took it. A repeat goes on where a crash has left off.
   */
  async deliver(call: Call, credential: Credential): Promise<void> {
    const filled = this.#filled(credential);
    try {
      for (const [secret, value] of filled) {
        if ((await this.#difference(call, secret, credential)) === undefined) continue;
        await this.#write(call, secret, value, credential);
      }
    } finally {
      for (const value of filled.values()) value.destroy();
    }
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    for (const secret of this.#spec.secrets)
      if ((await this.#difference(call, secret, credential)) !== undefined) return false;
    return true;
  }

  async differences(call: Call, credential: Credential): Promise<readonly Difference[]> {
    const all: Difference[] = [];
    for (const secret of this.#spec.secrets) {
      const what = await this.#difference(call, secret, credential);
      if (what !== undefined) all.push({ target: this.target, what });
    }
    return all;
  }

  async #write(call: Call, secret: GithubSecret, value: SecretValue, credential: Credential): Promise<void> {
    const { name } = secret;
    const beside = this.#recordOf(name);
    const kept = await this.#assertOurs(call, name);
    const record = { version: credential.versionId, form: this.#formOf(secret) };
    await this.#api.writeRecord(call, beside, record, kept === 'none' ? 'none' : 'there');
    await this.#api.writeSecret(call, name, value);
    const written = await this.#api.readSecret(call, name);
    if (!written)
      throw new RotorError('delivery.drifted', {
        what: `${this.target}: secret ${name} is not there after it was written`,
      });
    await this.#api.writeRecord(call, beside, { ...record, updatedAt: written.updatedAt }, 'there');
  }

  async #difference(
    call: Call,
    secret: GithubSecret,
    { versionId }: Credential,
  ): Promise<string | undefined> {
    const { name } = secret;
    const found = await this.#api.readSecret(call, name);
    const kept = found ? await this.#api.readRecord(call, this.#recordOf(name)) : undefined;
    const wanted = {
      name,
      version: versionId,
      form: this.#formOf(secret),
      visibility: this.#spec.visibility,
    };
    return differenceOf(wanted, found, kept === 'none' ? undefined : kept);
  }

  /** A secret without our record is somebody else's. @returns the record, as {@link GithubApi.readRecord} */
  async #assertOurs(call: Call, name: string) {
    const kept = await this.#api.readRecord(call, this.#recordOf(name));
    if (kept !== 'none' || this.#spec.adopt) return kept;
    if (await this.#api.readSecret(call, name))
      throw new RotorError('delivery.not-owned', {
        what: `${this.target}: somebody else made the secret ${name} (there is no variable ${this.#recordOf(name)} beside it)`,
      });
    return kept;
  }

  #recordOf(name: string): string {
    return recordName(name, this.#spec.dependabot);
  }

  #formOf({ value }: GithubSecret): string {
    return formOf(value, this.#spec.visibility, this.#spec.selectedRepositories);
  }

  /** @throws RotorError `delivery.invalid` for a value that GitHub wouldn't take */
  #filled(credential: Credential): ReadonlyMap<GithubSecret, SecretValue> {
    const values = valuesOf(credential);
    return new Map(
      this.#spec.secrets.map((secret) => {
        const value = SecretValue.of(fillTemplate(secret.value, values));
        if (value.size <= LONGEST) return [secret, value];
        throw new RotorError('delivery.invalid', {
          what: `${this.target}: the value of ${secret.name} is longer than the 48 KB that GitHub takes`,
        });
      }),
    );
  }
}

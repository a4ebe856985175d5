import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { SecretValue } from '../../../core/secret.ts';
import type { Delivery, DeliverySession, Difference } from '../delivery.ts';
import { formOf } from '../form.ts';
import { fillTemplate, valuesOf } from '../template.ts';
import { GitlabApi, type ShownVariable } from './api.ts';
import { unfit } from './masking.ts';
import { type GitlabVariable, type GitlabVariableSpec, gitlabVariableSpec } from './spec.ts';

/** What every description of ours begins with: whose variable it is. */
const OURS = 'Delivered by Rotor:';

/** Writes the credential into CI/CD variables of a project or group of GitLab. */
export const gitlabVariableDelivery: Delivery<GitlabVariableSpec> = {
  kind: 'gitlabVariable',
  spec: gitlabVariableSpec,
  open: (spec) => new GitlabVariableSession(spec),
};

class GitlabVariableSession implements DeliverySession {
  readonly target: string;
  readonly warnings: readonly string[];
  readonly #spec: GitlabVariableSpec;
  readonly #api: GitlabApi;

  constructor(spec: GitlabVariableSpec) {
    this.#spec = spec;
    const { project, group, variables, environmentScope } = spec;
    const place = group === undefined ? `project ${project}` : `group ${group}`;
    const scope = environmentScope === '*' ? '' : ` for ${environmentScope}`;
    const names = variables.map(({ name }) => name).join(', ');
    this.target = `gitlab variable ${names} of ${place}${scope} at ${new URL(spec.url).host}`;
    const hidden = variables.filter((each) => each.hidden).map(({ name }) => name);
    this.warnings = [
      ...(hidden.length > 0
        ? [
            `${this.target}: nobody can read ${hidden.join(', ')} back, so that a change of the value shows nowhere`,
          ]
        : []),
      ...(variables.length > 1
        ? [
            `${this.target}: written one after the other, so that a pipeline that starts meanwhile may see both versions`,
          ]
        : []),
    ];
    this.#api = new GitlabApi(this.target, spec);
  }

  async plan(call: Call, current?: Credential): Promise<void> {
    if (current) this.#filled(current);
    await this.#api.look(call);
    for (const variable of this.#spec.variables) {
      const found = await this.#api.read(call, variable.name);
      if (found) this.#assertReplaceable(variable, found);
    }
  }

  /** All values are checked before the first is written. A repeat goes on where a crash has left off. */
  async deliver(call: Call, credential: Credential): Promise<void> {
    const filled = this.#filled(credential);
    try {
      for (const [variable, value] of filled) {
        const found = await this.#api.read(call, variable.name);
        if (found) this.#assertReplaceable(variable, found);
        if (found && this.#compared(variable, value, found, credential).length === 0) continue;
        call.deadline.assertTime(`write ${this.target}`);
        const fields = {
          value: value.reveal(),
          variable_type: variable.type,
          protected: variable.protected,
          raw: variable.raw,
          description: descriptionOf(variable, credential),
        };
        if (found) await this.#api.update(call, variable.name, { ...fields, masked: variable.masked });
        else
          await this.#api.create(call, variable.name, {
            ...fields,
            ...(variable.hidden ? { masked_and_hidden: true } : { masked: variable.masked }),
          });
      }
    } finally {
      for (const value of filled.values()) value.destroy();
    }
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    return (await this.differences(call, credential)).length === 0;
  }

  async differences(call: Call, credential: Credential): Promise<readonly Difference[]> {
    const all: Difference[] = [];
    for (const [variable, value] of this.#filled(credential)) {
      const found = await this.#api.read(call, variable.name);
      for (const what of found
        ? this.#compared(variable, value, found, credential)
        : [`variable ${variable.name} is not there`])
        all.push({ target: this.target, what });
      value.destroy();
    }
    return all;
  }

  #compared(
    variable: GitlabVariable,
    value: SecretValue,
    found: ShownVariable,
    credential: Credential,
  ): readonly string[] {
    const { name } = variable;
    const told: string[] = [];
    if (!variable.hidden && !SecretValue.of(found.value ?? '').equals(value))
      told.push(`the value of ${name} is another`);
    for (const [flag, wanted, is] of [
      ['masked', variable.masked, found.masked],
      ['protected', variable.protected, found.protected],
      ['raw', variable.raw, found.raw],
      ['type', variable.type, found.variable_type],
    ] as const)
      if (wanted !== is) told.push(`${flag} of ${name} is ${is}, not ${wanted}`);
    if (found.description !== descriptionOf(variable, credential))
      told.push(`the description of ${name} names another version`);
    return told;
  }

  /** @throws RotorError `delivery.invalid` for a value that GitLab wouldn't take */
  #filled(credential: Credential): ReadonlyMap<GitlabVariable, SecretValue> {
    const values = valuesOf(credential);
    return new Map(
      this.#spec.variables.map((variable) => {
        const value = fillTemplate(variable.value, values);
        const problem = unfit(variable, value);
        if (problem !== undefined)
          throw new RotorError('delivery.invalid', {
            what: `${this.target}: the value of ${variable.name} ${problem}`,
          });
        return [variable, SecretValue.of(value)];
      }),
    );
  }

  #assertReplaceable({ name, hidden }: GitlabVariable, found: ShownVariable): void {
    if (!this.#spec.adopt && !found.description?.startsWith(OURS))
      throw new RotorError('delivery.not-owned', {
        what: `${this.target}: somebody else made the variable ${name} (its description is not Rotor's)`,
      });
    if (hidden === found.hidden) return;
    throw new RotorError('delivery.invalid', {
      what: `${this.target}: the variable ${name} is ${found.hidden ? '' : 'not '}hidden, and GitLab changes that of none there is`,
      hint: hidden
        ? 'Delete the variable, or write `hidden: false`.'
        : 'Delete the variable, or write `hidden: true`.',
    });
  }
}

function descriptionOf(variable: GitlabVariable, { versionId }: Credential): string {
  return `${OURS} version ${versionId}, form ${formOf(variable)}`;
}

import { z } from 'zod';
import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { type HttpAnswer, httpRequest } from '../../../core/http.ts';
import { jsonIn } from '../../../core/json.ts';
import { SecretValue } from '../../../core/secret.ts';
import { secretIn } from '../../../core/secret-file.ts';
import { urlPart } from '../../../core/url-path.ts';
import { refusal } from '../refusal.ts';
import type { GitlabVariableSpec } from './spec.ts';

/** A variable as GitLab shows it. `description` came with 16.2, `hidden` with 17.4; the value of a hidden one is null. */
const variable = z.object({
  key: z.string(),
  value: z.string().nullish(),
  variable_type: z.string(),
  protected: z.boolean(),
  masked: z.boolean(),
  hidden: z.boolean().default(false),
  raw: z.boolean().default(false),
  description: z.string().nullable().optional(),
});
export type ShownVariable = z.output<typeof variable>;

/** A value of 10,000 characters, escaped. */
const MAX_BYTES = 256 * 1024;

/**
 * Variables of one project or group in one environment scope, by GitLab's REST API (docs.gitlab.com, "Project-level CI/CD
 * variables API", "Group-level variables API").
 */
export class GitlabApi {
  readonly #target: string;
  readonly #spec: GitlabVariableSpec;
  readonly #needs: string;

  constructor(target: string, spec: GitlabVariableSpec) {
    this.#target = target;
    this.#spec = spec;
    this.#needs = `the scope "api" and the role ${spec.group === undefined ? 'Maintainer' : 'Owner'}`;
  }

  /** Whether the project or group is there, and its variables may be seen. @throws RotorError `delivery.*` */
  async look(call: Call): Promise<void> {
    const answer = await this.#ask(call, 'GET', '?per_page=1');
    if (answer.status !== 200) throw this.#refusal(call, answer, 'list its variables');
  }

  async read(call: Call, name: string): Promise<ShownVariable | undefined> {
    const answer = await this.#ask(call, 'GET', `/${name}?${this.#filter()}`);
    if (answer.status === 404) return undefined;
    const doing = `show the variable ${name}`;
    if (answer.status !== 200) throw this.#refusal(call, answer, doing);
    const read = variable.safeParse(jsonIn(answer.body));
    if (!read.success)
      throw new RotorError('delivery.failed', {
        what: `${this.#target}: answered something else when asked to ${doing}`,
      });
    if (read.data.description !== undefined) return read.data;
    throw new RotorError('delivery.invalid', {
      what: `${this.#target}: this GitLab gives variables no description, which Rotor keeps the version in`,
      hint: 'Use GitLab 16.2 or later.',
    });
  }

  async create(call: Call, name: string, fields: object): Promise<void> {
    const body = { key: name, environment_scope: this.#spec.environmentScope, ...fields };
    const answer = await this.#ask(call, 'POST', '', body);
    if (answer.status !== 201) throw this.#refusal(call, answer, `create the variable ${name}`);
  }

  async update(call: Call, name: string, fields: object): Promise<void> {
    const answer = await this.#ask(call, 'PUT', `/${name}?${this.#filter()}`, fields);
    if (answer.status !== 200) throw this.#refusal(call, answer, `change the variable ${name}`);
  }

  async #ask(call: Call, method: string, rest: string, body?: object): Promise<HttpAnswer> {
    const { url, project, group, tokenFrom } = this.#spec;
    const place =
      group === undefined ? `projects/${urlPart(String(project ?? ''))}` : `groups/${urlPart(String(group))}`;
    const sent = body && SecretValue.of(JSON.stringify(body));
    try {
      return await httpRequest(call.deadline, {
        url: `${url.replace(/\/+$/, '')}/api/v4/${place}/variables${rest}`,
        method,
        headers: {
          'private-token': await secretIn(tokenFrom.file, this.#target),
          'user-agent': 'rotor',
          ...(sent ? { 'content-type': 'application/json' } : {}),
        },
        ...(sent ? { body: sent } : {}),
        maxBytes: MAX_BYTES,
      });
    } finally {
      sent?.destroy();
    }
  }

  #filter(): string {
    return new URLSearchParams({ 'filter[environment_scope]': this.#spec.environmentScope }).toString();
  }

  #refusal(call: Call, answer: HttpAnswer, doing: string): RotorError {
    const needs = this.#needs;
    if (answer.status !== 400)
      return refusal(answer, { target: this.#target, doing, now: call.clock.now(), needs });
    return new RotorError('delivery.invalid', {
      what: `${this.#target}: refused to ${doing} (400): ${fieldsOf(answer.body)}`,
    });
  }
}

/** Which fields GitLab refuses, by name: `{"message": {"value": ["is invalid"]}}`. Its sentences may quote a value. */
function fieldsOf(body: string): string {
  const { message } = (jsonIn(body) ?? {}) as { readonly message?: unknown };
  if (typeof message !== 'object' || message === null) return 'it says no field';
  const known = ['key', 'value', 'masked', 'environment_scope', 'variable_type', 'description', 'base'];
  const named = Object.keys(message).filter((field) => known.includes(field));
  return named.length > 0 ? `invalid ${named.join(', ')}` : 'it says no field';
}

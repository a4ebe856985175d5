import { z } from 'zod';
import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { githubHeaders } from '../../../core/github.ts';
import { type HttpAnswer, httpRequest } from '../../../core/http.ts';
import { jsonIn } from '../../../core/json.ts';
import type { SecretValue } from '../../../core/secret.ts';
import { refusal } from '../refusal.ts';
import { type Places, placesOf } from './places.ts';
import { parseRecord, type Record, type ShownSecret } from './record.ts';
import { sealed } from './seal.ts';
import type { GithubActionsSecretSpec } from './spec.ts';
import type { GithubTokens } from './token.ts';

const MAX_BYTES = 1024 * 1024;

const repository = z.object({ id: z.int(), archived: z.boolean().default(false) });
const publicKey = z.object({ key_id: z.string(), key: z.string() });
const secret = z.object({ updated_at: z.string(), visibility: z.string().optional() });
const variable = z.object({ value: z.string() });

/** Secrets and the records beside them, in one repository, environment or organization, by GitHub's REST API. */
export class GithubApi {
  readonly #target: string;
  readonly #spec: GithubActionsSecretSpec;
  readonly #tokens: GithubTokens;
  readonly #places: Places;

  constructor(target: string, spec: GithubActionsSecretSpec, tokens: GithubTokens) {
    this.#target = target;
    this.#spec = spec;
    this.#tokens = tokens;
    this.#places = placesOf(spec);
  }

  /** Whether all is there and may be written, as far as that shows without writing. @throws RotorError `delivery.*` */
  async look(call: Call): Promise<void> {
    const { permissions } = await this.#tokens.of(call, this.#target, this.#spec);
    const [words, key] = this.#places.secretsPermission;
    if (permissions && permissions[key] !== 'write')
      throw new RotorError('delivery.permission-denied', {
        what: `${this.#target}: the GitHub App's installation lacks the permission ${words}`,
        hint: `Give the app the permission ${words}, and let the owner of the installation accept it.`,
      });
    const { owner, repository: name } = this.#spec;
    if (name !== undefined && (await this.#repository(call, name)).archived) throw this.#archived();
    await this.#publicKey(call);
    await this.#selectedIds(call, owner);
  }

  async readSecret(call: Call, name: string): Promise<ShownSecret | undefined> {
    const found = await this.#get(
      call,
      secret,
      `${this.#places.secrets}/${name}`,
      `show the secret ${name}`,
      'secrets',
    );
    return found && { updatedAt: found.updated_at, visibility: found.visibility };
  }

  /** Seals and sends it. GitHub may have changed its key meanwhile, so that it is asked for each time. */
  async writeSecret(call: Call, name: string, value: SecretValue): Promise<void> {
    const { key_id, key } = await this.#publicKey(call);
    const { owner, visibility } = this.#spec;
    const ids = await this.#selectedIds(call, owner);
    const body = {
      encrypted_value: await sealed(key, value),
      key_id,
      ...(visibility === undefined ? {} : { visibility }),
      ...(ids === undefined ? {} : { selected_repository_ids: ids }),
    };
    const doing = `write the secret ${name}`;
    const answer = await this.#ask(call, 'PUT', `${this.#places.secrets}/${name}`, body);
    if (answer.status !== 201 && answer.status !== 204) throw this.#refusal(call, answer, doing, 'secrets');
  }

  /** `none` when there is no variable of that name; undefined when there is one that holds no record. */
  async readRecord(call: Call, name: string): Promise<Record | undefined | 'none'> {
    const found = await this.#get(
      call,
      variable,
      `${this.#places.variables}/${name}`,
      `show the variable ${name}`,
      'variables',
    );
    return found ? parseRecord(found.value) : 'none';
  }

  async writeRecord(call: Call, name: string, record: Record, before: 'none' | 'there'): Promise<void> {
    const value = JSON.stringify(record);
    const doing = `write the variable ${name}`;
    // Seen by no repository: it is for Rotor alone.
    const hidden =
      this.#spec.repository === undefined ? { visibility: 'selected', selected_repository_ids: [] } : {};
    const answer =
      before === 'none'
        ? await this.#ask(call, 'POST', this.#places.variables, { name, value, ...hidden })
        : await this.#ask(call, 'PATCH', `${this.#places.variables}/${name}`, { name, value });
    if (answer.status !== 201 && answer.status !== 204) throw this.#refusal(call, answer, doing, 'variables');
  }

  async #repository(call: Call, name: string): Promise<z.output<typeof repository>> {
    const { owner } = this.#spec;
    const found = await this.#get(
      call,
      repository,
      `/repos/${owner}/${name}`,
      `show ${owner}/${name}`,
      undefined,
    );
    if (found) return found;
    throw new RotorError('delivery.not-found', {
      what: `${this.#target}: there is no repository ${owner}/${name}, or the token may not see it`,
    });
  }

  async #publicKey(call: Call): Promise<z.output<typeof publicKey>> {
    const path = `${this.#places.secrets}/public-key`;
    const doing = 'hand out the public key for secrets';
    const answer = await this.#ask(call, 'GET', path);
    if (answer.status !== 200) throw this.#refusal(call, answer, doing, 'secrets');
    return this.#read(answer, publicKey, doing);
  }

  async #selectedIds(call: Call, owner: string): Promise<readonly number[] | undefined> {
    const { selectedRepositories } = this.#spec;
    if (!selectedRepositories || owner === '') return undefined;
    const ids: number[] = [];
    for (const name of selectedRepositories) ids.push((await this.#repository(call, name)).id);
    return ids;
  }

  /** Undefined for 404, which GitHub also answers to who may not see it. */
  async #get<T>(
    call: Call,
    schema: z.ZodType<T>,
    path: string,
    doing: string,
    what: 'secrets' | 'variables' | undefined,
  ): Promise<T | undefined> {
    const answer = await this.#ask(call, 'GET', path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw this.#refusal(call, answer, doing, what);
    return this.#read(answer, schema, doing);
  }

  #read<T>(answer: HttpAnswer, schema: z.ZodType<T>, doing: string): T {
    const read = schema.safeParse(jsonIn(answer.body));
    if (read.success) return read.data;
    throw new RotorError('delivery.failed', {
      what: `${this.#target}: answered something else when asked to ${doing}`,
    });
  }

  async #ask(call: Call, method: string, path: string, body?: object): Promise<HttpAnswer> {
    const first = await this.#send(call, method, path, body);
    if (first.status !== 401 || !this.#spec.app) return first;
    // An installation's token that was taken back before its time: once more, with a new one.
    this.#tokens.forget(this.#spec);
    return this.#send(call, method, path, body);
  }

  async #send(call: Call, method: string, path: string, body?: object): Promise<HttpAnswer> {
    const { secret: token } = await this.#tokens.of(call, this.#target, this.#spec);
    return httpRequest(call.deadline, {
      url: `${this.#spec.apiUrl.replace(/\/+$/, '')}${path}`,
      method,
      headers: { ...githubHeaders(token), ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      maxBytes: MAX_BYTES,
    });
  }

  #refusal(
    call: Call,
    answer: HttpAnswer,
    doing: string,
    what: 'secrets' | 'variables' | undefined,
  ): RotorError {
    if (answer.status === 403 && /archived/i.test(answer.body)) return this.#archived();
    const { secretsPermission, variablesPermission } = this.#places;
    const [words] = (what === 'variables' ? variablesPermission : secretsPermission) ?? [];
    const needs = what === undefined ? {} : { needs: `the permission ${words}` };
    return refusal(answer, { target: this.#target, doing, now: call.clock.now(), ...needs });
  }

  #archived(): RotorError {
    return new RotorError('delivery.permission-denied', {
      what: `${this.#target}: the repository is archived, and so read-only`,
      hint: 'Take the delivery out of the policy, or unarchive the repository.',
    });
  }
}

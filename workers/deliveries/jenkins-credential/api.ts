import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { type HttpAnswer, httpRequest } from '../../../core/http.ts';
import { SecretValue } from '../../../core/secret.ts';
import { secretIn } from '../../../core/secret-file.ts';
import { urlPart } from '../../../core/url-path.ts';
import { refusal } from '../refusal.ts';
import { read, type Shown } from './document.ts';
import type { JenkinsCredentialSpec } from './spec.ts';

type Permission = 'View' | 'Create' | 'Update';

const MAX_BYTES = 256 * 1024;

/** One domain of a store of credentials, by the REST API of Jenkins's Credentials plugin (its user guide, "REST API"). */
export class JenkinsApi {
  readonly #target: string;
  readonly #spec: JenkinsCredentialSpec;
  readonly #base: string;

  constructor(target: string, spec: JenkinsCredentialSpec) {
    this.#target = target;
    this.#spec = spec;
    const { url, folder, domain } = spec;
    const jobs = folder?.split('/').map((name) => `job/${urlPart(name)}/`) ?? [];
    const store = folder === undefined ? 'system' : 'folder';
    this.#base = `${url.replace(/\/+$/, '')}/${jobs.join('')}credentials/store/${store}/domain/${urlPart(domain)}`;
  }

  /** Whether store and domain are there, and may be seen. @throws RotorError `delivery.*` */
  async look(call: Call): Promise<void> {
    const answer = await this.#ask(call, 'GET', 'api/json?tree=urlName');
    if (answer.status !== 200) throw this.#refusal(call, answer, 'show its store of credentials', 'View');
  }

  /** Undefined when there is no credential with this id. */
  async read(call: Call, id: string): Promise<Shown | undefined> {
    const doing = `show the credential ${id}`;
    const answer = await this.#ask(call, 'GET', `credential/${urlPart(id)}/config.xml`);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw this.#refusal(call, answer, doing, 'View');
    const shown = read(answer.body);
    if (shown) return shown;
    throw new RotorError('delivery.failed', {
      what: `${this.#target}: answered something else when asked to ${doing}`,
    });
  }

  /** @throws RotorError ambiguous when another one with its id is there by now (409) */
  async create(call: Call, id: string, xml: SecretValue): Promise<void> {
    const answer = await this.#ask(call, 'POST', 'createCredentials', xml);
    if (answer.status !== 200) throw this.#refusal(call, answer, `create the credential ${id}`, 'Create');
  }

  /** Replaces it as a whole. Jenkins also says yes when it is gone by now: only reading it back tells. */
  async update(call: Call, id: string, xml: SecretValue): Promise<void> {
    const answer = await this.#ask(call, 'POST', `credential/${urlPart(id)}/config.xml`, xml);
    if (answer.status !== 200) throw this.#refusal(call, answer, `change the credential ${id}`, 'Update');
  }

  async #ask(call: Call, method: string, path: string, body?: SecretValue): Promise<HttpAnswer> {
    const { user, tokenFrom } = this.#spec;
    const token = await secretIn(tokenFrom.file, this.#target);
    const basic = Buffer.from(`${user}:${token.reveal()}`, 'utf8').toString('base64');
    return httpRequest(call.deadline, {
      url: `${this.#base}/${path}`,
      method,
      headers: {
        authorization: SecretValue.of(`Basic ${basic}`),
        'user-agent': 'rotor',
        ...(body ? { 'content-type': 'application/xml; charset=utf-8' } : {}),
      },
      ...(body ? { body } : {}),
      maxBytes: MAX_BYTES,
    });
  }

  #refusal(call: Call, answer: HttpAnswer, doing: string, permission: Permission): RotorError {
    const target = this.#target;
    // An API token needs no crumb (CSRF protection); a password does.
    if (answer.status === 403 && /crumb/i.test(answer.body))
      return new RotorError('delivery.refused', {
        what: `${target}: asks for a crumb when asked to ${doing}`,
        hint: `Put an API token of ${this.#spec.user} into the file that \`tokenFrom\` names, not a password.`,
      });
    if (answer.status === 500)
      return new RotorError('delivery.failed', {
        what: `${target}: answered 500 when asked to ${doing}`,
        kind: 'ambiguous',
        hint: "Look into Jenkins's log: the plugin for this kind may not be installed (plain-credentials, ssh-credentials).",
      });
    const needs = `the permission Credentials/${permission} for ${this.#spec.user}`;
    return refusal(answer, { target, doing, now: call.clock.now(), needs });
  }
}

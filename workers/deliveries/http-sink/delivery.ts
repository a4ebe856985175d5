import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { SecretValue } from '../../../core/secret.ts';
import { secretIn } from '../../../core/secret-file.ts';
import { standardSignature } from '../../../core/standard-webhooks.ts';
import { resolvePointer } from '../../rollouts/reload/health.ts';
import type { Delivery, DeliverySession } from '../delivery.ts';
import { refusal } from '../refusal.ts';
import { fillTemplate, valuesOf } from '../template.ts';
import { type HttpSinkSpec, httpSinkSpec } from './spec.ts';

/** Sends the credential to whatever takes it over HTTP. */
export const httpSinkDelivery: Delivery<HttpSinkSpec> = {
  kind: 'httpSink',
  spec: httpSinkSpec,
  open: (spec) => new HttpSinkSession(spec),
};

class HttpSinkSession implements DeliverySession {
  readonly target: string;
  readonly unseen: boolean;
  readonly warnings: readonly string[];
  readonly #spec: HttpSinkSpec;
  /** The version that the receiver took last, in this session. */
  #taken: string | undefined;

  constructor(spec: HttpSinkSpec) {
    this.#spec = spec;
    // A path or query may be a credential itself.
    this.target = `http sink ${new URL(spec.url).host}`;
    this.unseen = spec.verify === undefined;
    this.warnings = this.unseen
      ? [
          `${this.target} can't be asked what it holds: it is taken at its word, and drift there shows nowhere`,
        ]
      : [];
  }

  async plan(call: Call, current?: Credential): Promise<void> {
    await this.#headers();
    if (this.#spec.signingSecretFrom) await secretIn(this.#spec.signingSecretFrom.file, this.target);
    if (current) this.#body(current).destroy();
    if (this.#spec.verify) await this.#version(call);
  }

  /**
   * One request. The receiver may see it again, under the same `webhook-id` while the same worker is at it, and may see the
   * earlier version again when a rotation goes back: `rotor-fence` grows with every claim, so that a late one shows.
   */
  async deliver(call: Call, credential: Credential): Promise<void> {
    const { url, method, headers, signingSecretFrom } = this.#spec;
    const id = `${credential.versionId}.${call.fence}`;
    const body = this.#body(credential);
    try {
      const timestamp = Math.floor(call.clock.now().getTime() / 1_000);
      const signature = signingSecretFrom
        ? standardSignature(id, timestamp, body, await secretIn(signingSecretFrom.file, this.target))
        : { 'webhook-id': id };
      const sent = await this.#headers();
      this.#taken = undefined;
      const answer = await httpRequest(call.deadline, {
        url,
        method,
        headers: {
          'content-type': 'application/json',
          ...lowerCased(headers),
          ...sent,
          ...signature,
          'rotor-version': credential.versionId,
          'rotor-fence': String(call.fence),
        },
        body,
      });
      if (answer.status === 412)
        throw new RotorError('store.fenced', {
          what: `${this.target}: refused fence ${call.fence}, since a later one was there (412)`,
        });
      if (answer.status < 200 || answer.status >= 300)
        throw refusal(answer, { target: this.target, doing: 'take a version', now: call.clock.now() });
      this.#taken = credential.versionId;
    } finally {
      body.destroy();
    }
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    const held = this.#spec.verify ? await this.#version(call) : this.#taken;
    return held === credential.versionId;
  }

  /** What the receiver says that it holds; nothing when it holds nothing yet. */
  async #version(call: Call): Promise<string | undefined> {
    const { verify } = this.#spec;
    if (!verify) return undefined;
    const answer = await httpRequest(call.deadline, { url: verify.url, headers: await this.#headers() });
    if (answer.status === 404 || answer.status === 204) return undefined;
    const asked = { target: this.target, doing: 'tell its version', now: call.clock.now() };
    if (answer.status !== 200) throw refusal(answer, asked);
    const found = pointedAt(answer.body, verify.pointer);
    if (found === undefined || found === null) return undefined;
    if (typeof found === 'string') return found;
    throw new RotorError('delivery.invalid', {
      what: `${this.target}: \`verify.pointer\` leads to something that is no text`,
      hint: 'Point to the id of the version.',
    });
  }

  #body(credential: Credential): SecretValue {
    const values = valuesOf(credential);
    const { body } = this.#spec;
    return SecretValue.of(
      body === undefined ? JSON.stringify(Object.fromEntries(values)) : fillTemplate(body, values),
    );
  }

  async #headers(): Promise<Readonly<Record<string, SecretValue>>> {
    const named = Object.entries(this.#spec.headersFrom).map(async ([name, { file, prefix }]) => {
      const secret = await secretIn(file, this.target);
      return [name.toLowerCase(), SecretValue.of(prefix + secret.reveal())] as const;
    });
    return Object.fromEntries(await Promise.all(named));
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Undefined for what is no JSON, as for what leads nowhere. */
function pointedAt(body: string, pointer: string): unknown {
  try {
    return resolvePointer(JSON.parse(body), pointer);
  } catch {
    return undefined;
  }
}

import type { Call } from '../../../core/call.ts';
import type { Credential } from '../../../core/credential.ts';
import { RotorError } from '../../../core/errors.ts';
import { SecretValue } from '../../../core/secret.ts';
import type { Delivery, DeliverySession, Difference } from '../delivery.ts';
import { formOf } from '../form.ts';
import { fillTemplate, valuesOf } from '../template.ts';
import { JenkinsApi } from './api.ts';
import { type Shown, written } from './document.ts';
import { type JenkinsCredential, type JenkinsCredentialSpec, jenkinsCredentialSpec } from './spec.ts';
import { fitsXml } from './xml.ts';

/** What every description of ours begins with: whose credential it is. */
const OURS = 'Delivered by Rotor:';

/** Writes the credential into Jenkins: the system store, or that of a folder. */
export const jenkinsCredentialDelivery: Delivery<JenkinsCredentialSpec> = {
  kind: 'jenkinsCredential',
  spec: jenkinsCredentialSpec,
  open: (spec) => new JenkinsCredentialSession(spec),
};

interface Filled {
  readonly xml: SecretValue;
  readonly shown: Shown;
}

class JenkinsCredentialSession implements DeliverySession {
  readonly target: string;
  readonly warnings: readonly string[];
  readonly #spec: JenkinsCredentialSpec;
  readonly #api: JenkinsApi;

  constructor(spec: JenkinsCredentialSpec) {
    this.#spec = spec;
    const { folder, domain, credentials } = spec;
    const place = folder === undefined ? 'the system store' : `folder ${folder}`;
    const within = domain === '_' ? '' : `, domain ${domain},`;
    const ids = credentials.map(({ id }) => id).join(', ');
    this.target = `jenkins credential ${ids} of ${place}${within} at ${new URL(spec.url).host}`;
    this.warnings = [
      `${this.target}: Jenkins shows no secret again, so that a change of it shows nowhere`,
      ...(credentials.length > 1
        ? [
            `${this.target}: written one after the other, so that a job that starts meanwhile may see both versions`,
          ]
        : []),
    ];
    this.#api = new JenkinsApi(this.target, spec);
  }

  async plan(call: Call, current?: Credential): Promise<void> {
    if (current) for (const { xml } of this.#filled(current).values()) xml.destroy();
    await this.#api.look(call);
    for (const { id } of this.#spec.credentials) {
      const found = await this.#api.read(call, id);
      if (found) this.#assertOurs(id, found);
    }
  }

  /** All are made before the first is sent. Version and secret go in one call; a repeat goes on where a crash has left off. */
  async deliver(call: Call, credential: Credential): Promise<void> {
    const filled = this.#filled(credential);
    try {
      for (const [{ id }, { xml, shown }] of filled) {
        const found = await this.#api.read(call, id);
        if (found) this.#assertOurs(id, found);
        if (found && compared(id, shown, found).length === 0) continue;
        call.deadline.assertTime(`write ${this.target}`);
        if (found) await this.#api.update(call, id, xml);
        else await this.#api.create(call, id, xml);
      }
    } finally {
      for (const { xml } of filled.values()) xml.destroy();
    }
  }

  async holds(call: Call, credential: Credential): Promise<boolean> {
    return (await this.differences(call, credential)).length === 0;
  }

  async differences(call: Call, credential: Credential): Promise<readonly Difference[]> {
    const all: Difference[] = [];
    for (const [{ id }, { xml, shown }] of this.#filled(credential)) {
      xml.destroy();
      const found = await this.#api.read(call, id);
      for (const what of found ? compared(id, shown, found) : [`credential ${id} is not there`])
        all.push({ target: this.target, what });
    }
    return all;
  }

  /** @throws RotorError `delivery.invalid` for a value that no XML can carry */
  #filled(credential: Credential): ReadonlyMap<JenkinsCredential, Filled> {
    const values = valuesOf(credential);
    return new Map(
      this.#spec.credentials.map((spec) => {
        const fill = (template: string): string => {
          const text = fillTemplate(template, values);
          if (spec.secretFile || fitsXml(text)) return text;
          throw new RotorError('delivery.invalid', {
            what: `${this.target}: a value of ${spec.id} holds a control character, which XML can't carry`,
            hint: 'Encode it with the filter `base64`, or deliver it as `secretFile`.',
          });
        };
        const description = `${OURS} version ${credential.versionId}, form ${formOf(spec)}`;
        const { xml, shown } = written(spec, description, fill);
        return [spec, { xml: SecretValue.of(xml), shown }];
      }),
    );
  }

  #assertOurs(id: string, found: Shown): void {
    if (this.#spec.adopt || found.description.startsWith(OURS)) return;
    throw new RotorError('delivery.not-owned', {
      what: `${this.target}: somebody else made the credential ${id} (its description is not Rotor's)`,
    });
  }
}

/** In words, what of a credential is shown otherwise than it was written. */
function compared(id: string, wanted: Shown, found: Shown): readonly string[] {
  const told: string[] = [];
  if (wanted.class !== found.class) told.push(`${id} is of another kind`);
  if (wanted.description !== found.description) told.push(`the description of ${id} names another version`);
  if (wanted.scope !== found.scope) told.push(`the scope of ${id} is another than ${wanted.scope}`);
  if (wanted.username !== found.username) told.push(`the user name of ${id} is another`);
  if (wanted.fileName !== found.fileName) told.push(`the file name of ${id} is another`);
  return told;
}

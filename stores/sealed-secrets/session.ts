import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { StagelessSession, Standing } from '../stageless.ts';
import type { StoreReport } from '../store.ts';
import { type Certificate, certificateOf } from './certificate.ts';
import { Folder } from './folder.ts';
import { manifestOf, notOurs, targetOf, type Written, writtenIn } from './manifest.ts';
import type { Place } from './places.ts';
import { Repository } from './repository.ts';
import type { SealedSecretsSpec } from './spec.ts';

/** A manifest as it stands in its place. */
export interface Sealed extends Standing {
  readonly text: string;
  /** Undefined when it isn't Rotor's, or isn't any more. */
  readonly written: Written | undefined;
}

/**
 * SealedSecret manifests: what only the controller of a cluster can open. So what is current is read from the ledger, and
 * what stands in Git tells by its annotations which version that is, and for which certificate it was sealed.
 */
export class SealedSecretsSession implements StagelessSession<Sealed> {
  readonly #spec: SealedSecretsSpec;
  readonly #place: Place;

  constructor(spec: SealedSecretsSpec) {
    this.#spec = spec;
    this.#place = spec.git ? new Repository(spec.git) : new Folder(spec.folder ?? '');
  }

  async look(call: Call, path: string): Promise<Sealed | undefined> {
    const text = await this.#place.read(call, this.#file(path));
    if (text === undefined) return undefined;
    const written = writtenIn(text);
    return { text, written, mark: SecretValue.of(text), is: (versionId) => written?.versionId === versionId };
  }

  async write(
    call: Call,
    path: string,
    version: { readonly versionId: string; readonly document: SecretValue },
    over: Sealed | undefined,
  ): Promise<void> {
    const file = this.#file(path);
    if (over && !over.written && !this.#spec.adopt) throw notOurs(file);
    const certificate = await certificateOf(call, this.#spec.certificate);
    const text = manifestOf(targetOf(this.#spec, path), version, certificate, over?.text);
    const { namespace, name } = targetOf(this.#spec, path);
    const message = `Seal ${namespace}/${name}\n\nVersion ${version.versionId} of its credential, by Rotor.\n`;
    if (await this.#place.replace(call, file, over?.text, text, message)) return;
    // Perhaps another worker carried out the same decision: sealed twice, a value looks different each time.
    if ((await this.look(call, path))?.written?.versionId === version.versionId) return;
    throw new RotorError('store.conflict', {
      what: `sealed-secrets: ${file} was changed in ${this.#place.name} meanwhile`,
    });
  }

  /** Whether it was sealed for a key that the controller has since replaced. */
  async outdated(call: Call, path: string, { written }: Sealed): Promise<string | undefined> {
    if (!written) return undefined;
    const now = await certificateOf(call, this.#spec.certificate);
    if (now.fingerprint === written.certificate || now.validFrom <= written.validFrom) return undefined;
    return `${this.#file(path)} is sealed for the certificate of ${written.validFrom}, and the controller has one of ${now.validFrom}`;
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const seen = await this.look(call, path);
    if (seen && !seen.written && !this.#spec.adopt) throw notOurs(this.#file(path));
    const certificate: Certificate = await certificateOf(call, this.#spec.certificate);
    const { url } = this.#spec.certificate;
    const open = url?.startsWith('http:') ?? false;
    return {
      warnings: open
        ? [
            `sealed-secrets: the certificate ${certificate.fingerprint.slice(0, 16)} comes over http: whoever can answer at ${url} can read what is sealed for theirs`,
          ]
        : [],
    };
  }

  close(): Promise<void> {
    return this.#place.close();
  }

  #file(path: string): string {
    const { namespace, name } = targetOf(this.#spec, path);
    return [...(this.#spec.path ? [this.#spec.path] : []), namespace, `${name}.yaml`].join('/');
  }
}

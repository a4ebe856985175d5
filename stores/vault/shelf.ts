import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { Kept, Newest, Shelf } from '../recorded/shelf.ts';
import type { RecordedVersion } from '../recorded/state.ts';
import type { StoreReport } from '../store.ts';
import { Kv } from './kv.ts';
import { documentIn, documentOf, Places, publicForm, sameFields } from './places.ts';
import type { VaultSpec } from './spec.ts';

/** Vault's KV engine, version 2: a folder of Rotor's in the same mount, and check-and-set for every write. */
export class VaultShelf implements Shelf {
  readonly product = 'Vault';
  readonly format = 'rotor.store.vault/1';
  readonly keepVersions: number;
  readonly #kv: Kv;
  readonly #places: Places;

  constructor(spec: VaultSpec) {
    this.keepVersions = spec.keepVersions;
    this.#kv = new Kv(spec);
    this.#places = new Places(spec.versionsPath);
  }

  async check(call: Call, path: string): Promise<StoreReport> {
    const missing = await this.#kv.missing(call, this.#places.needed(path));
    if (missing.length === 0) return { warnings: [] };
    throw new RotorError('store.permission-denied', {
      what: `the policy of Rotor's token in Vault lacks ${missing.join('; ')}`,
      hint: 'docs/vault.md has the whole policy.',
    });
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  async record(call: Call, path: string): Promise<Kept> {
    const { number, data } = await this.#kv.newest(call, this.#places.record(path));
    return { token: String(number), data };
  }

  async writeRecord(
    call: Call,
    path: string,
    token: string | undefined,
    data: SecretValue,
  ): Promise<string | undefined> {
    const number = Number(token ?? 0);
    const written = await this.#kv.write(call, this.#places.record(path), number, data);
    return written ? String(number + 1) : undefined;
  }

  async newest(call: Call, path: string): Promise<Newest> {
    const { number, createdAt, data } = await this.#kv.newest(call, this.#places.live(path));
    return { number, createdAt, document: data && documentOf(data) };
  }

  async publish(
    call: Call,
    path: string,
    number: number,
    document: SecretValue,
  ): Promise<number | undefined> {
    const written = await this.#kv.write(call, this.#places.live(path), number, publicForm(document));
    return written ? number + 1 : undefined;
  }

  same(kept: SecretValue, read: SecretValue): boolean {
    return sameFields(publicForm(kept), publicForm(read));
  }

  async keep(call: Call, path: string, versionId: string, document: SecretValue): Promise<undefined> {
    const place = this.#places.version(path, versionId);
    const wanted = this.#places.kept(document);
    for (;;) {
      const { number, data } = await this.#kv.newest(call, place);
      if (data && documentIn(data).equals(document)) return;
      if (data) {
        throw new RotorError('store.conflict', {
          what: `store path ${path}: version ${versionId} exists with another document`,
        });
      }
      if (await this.#kv.write(call, place, number, wanted)) return;
    }
  }

  async kept(call: Call, path: string, { versionId }: RecordedVersion): Promise<SecretValue | undefined> {
    const { data } = await this.#kv.newest(call, this.#places.version(path, versionId));
    return data && documentIn(data);
  }

  async forget(call: Call, path: string, { versionId, numbers }: RecordedVersion): Promise<void> {
    await this.#kv.destroy(call, this.#places.live(path), numbers);
    await this.#kv.remove(call, this.#places.version(path, versionId));
  }
}

import type { protos, SecretManagerServiceClient } from '@google-cloud/secret-manager';
import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Asking, ask, change, type Send } from '../send.ts';
import { crc32c } from './crc32c.ts';
import { type Asked, CODE, codeOf, isStale, secretManagerError } from './errors.ts';
import { numberIn } from './names.ts';

export type Secret = protos.google.cloud.secretmanager.v1.ISecret;

export interface PayloadVersion {
  readonly number: number;
  readonly createdAt: Date;
  readonly enabled: boolean;
}

/** The SDK repeats nothing by itself: that is decided by the call's deadline (send.ts of the stores). */
const ONCE = { retry: null, timeout: 60_000 } as unknown as { readonly timeout: number };

/** What is asked of Secret Manager. Names are resource names (`projects/p/secrets/s`). */
export class SecretManagerCalls {
  readonly #client: () => Promise<SecretManagerServiceClient>;

  constructor(client: () => Promise<SecretManagerServiceClient>) {
    this.#client = client;
  }

  async secret(call: Call, name: string): Promise<Secret | undefined> {
    const client = await this.#client();
    return ask(call, asking('secretmanager.secrets.get', name), () =>
      orNothing(client.getSecret({ name }, ONCE).then(([found]) => found)),
    );
  }

  /** Makes a secret; that it is there already is as good. */
  async create(call: Call, parent: string, secretId: string, secret: Secret): Promise<void> {
    const client = await this.#client();
    const name = `${parent}/secrets/${secretId}`;
    const send: Send<unknown> = async () => {
      try {
        await client.createSecret({ parent, secretId, secret }, ONCE);
      } catch (error) {
        if (codeOf(error) !== CODE.exists) throw error;
      }
    };
    const isDone = async () => (await this.secret(call, name)) !== undefined;
    await change(call, asking('secretmanager.secrets.create', name), send, isDone);
  }

  /**
   * Changes one field of a secret as it was when `etag` was read.
   * @param isDone whether a secret has been changed so, to settle a lost answer
   * @returns the next etag; undefined when somebody was faster
   */
  async update(
    call: Call,
    secret: Secret & { readonly name: string },
    field: 'annotations' | 'version_aliases',
    isDone: (now: Secret) => boolean,
  ): Promise<string | undefined> {
    const client = await this.#client();
    let etag: string | undefined;
    const send: Send<unknown> = async () => {
      try {
        const [changed] = await client.updateSecret({ secret, updateMask: { paths: [field] } }, ONCE);
        etag = changed.etag ?? undefined;
      } catch (error) {
        if (!isStale(error)) throw error;
        // The first of two tries may have come through, and its answer may be lost.
        await settled();
      }
    };
    const settled = async () => {
      const now = await this.secret(call, secret.name);
      if (!now || !isDone(now)) return false;
      etag = now.etag ?? undefined;
      return true;
    };
    await change(call, asking('secretmanager.secrets.update', secret.name), send, settled);
    return etag;
  }

  /** The newest version, whatever its state; undefined when there is none. */
  async latest(call: Call, secret: string): Promise<PayloadVersion | undefined> {
    const client = await this.#client();
    const name = `${secret}/versions/latest`;
    return ask(call, asking('secretmanager.versions.get', secret), () =>
      orNothing(client.getSecretVersion({ name }, ONCE).then(([found]) => seen(found))),
    );
  }

  /** The 25 newest versions. */
  async newest(call: Call, secret: string): Promise<readonly PayloadVersion[]> {
    const client = await this.#client();
    const found = await ask(call, asking('secretmanager.versions.list', secret), () =>
      orNothing(
        client
          .listSecretVersions({ parent: secret, pageSize: 25 }, { ...ONCE, autoPaginate: false })
          .then(([versions]) => versions.map(seen)),
      ),
    );
    return [...(found ?? [])].sort((a, b) => b.number - a.number);
  }

  /** The payload of a version; undefined when it is not there, disabled or destroyed. */
  async access(call: Call, secret: string, number: number): Promise<SecretValue | undefined> {
    const client = await this.#client();
    const name = `${secret}/versions/${number}`;
    return ask(call, asking('secretmanager.versions.access', name), async () => {
      const [answer] = await client.accessSecretVersion({ name }, ONCE).catch((error: unknown) => {
        const code = codeOf(error);
        if (code === CODE.notFound || code === CODE.precondition) return [undefined];
        throw error;
      });
      const payload = answer?.payload;
      if (!payload) return undefined;
      const data = Buffer.from((payload.data ?? '') as Uint8Array);
      if (payload.dataCrc32c !== undefined && payload.dataCrc32c !== null)
        assertIntact(name, data, payload.dataCrc32c);
      return SecretValue.of(data);
    });
  }

  /**
   * Adds a version, which is `latest` at once. There is no precondition: `find` settles a lost answer.
   * @returns its number
   */
  async add(
    call: Call,
    secret: string,
    payload: SecretValue,
    find: () => Promise<number | undefined>,
  ): Promise<number> {
    const client = await this.#client();
    let number: number | undefined;
    const send: Send<unknown> = async () => {
      const data = Buffer.from(payload.reveal());
      const request = { parent: secret, payload: { data, dataCrc32c: crc32c(data) } };
      const [made] = await client.addSecretVersion(request, ONCE);
      number = numberIn(made.name);
    };
    const isDone = async () => {
      number = await find();
      return number !== undefined;
    };
    await change(call, asking('secretmanager.versions.add', secret), send, isDone);
    return number ?? 0;
  }

  /** Disables a version, which can be undone, and then destroys it. What is gone already is fine. */
  async destroy(call: Call, secret: string, number: number): Promise<void> {
    const client = await this.#client();
    const name = `${secret}/versions/${number}`;
    await ask(call, asking('secretmanager.versions.disable', name), () =>
      gone(client.disableSecretVersion({ name }, ONCE)),
    );
    await ask(call, asking('secretmanager.versions.destroy', name), () =>
      gone(client.destroySecretVersion({ name }, ONCE)),
    );
  }

  /** Which of `permissions` the workers lack on a secret; asking needs no permission itself. */
  async lacking(call: Call, resource: string, permissions: readonly string[]): Promise<readonly string[]> {
    const client = await this.#client();
    const asked = asking('testIamPermissions', resource);
    const request = { resource, permissions: [...permissions] };
    const [answer] = await ask(call, asked, () => client.testIamPermissions(request, ONCE));
    return permissions.filter((each) => !(answer.permissions ?? []).includes(each));
  }
}

function seen(version: protos.google.cloud.secretmanager.v1.ISecretVersion): PayloadVersion {
  const { seconds, nanos } = version.createTime ?? {};
  return {
    number: numberIn(version.name),
    createdAt: new Date(Number(seconds ?? 0) * 1_000 + Math.floor((nanos ?? 0) / 1_000_000)),
    enabled: version.state === 'ENABLED' || version.state === 1,
  };
}

function assertIntact(name: string, data: Uint8Array, sum: unknown): void {
  if (Number(String(sum)) === crc32c(data)) return;
  throw new RotorError('store.unavailable', {
    what: `${name}: the payload arrived damaged (its CRC-32C is another)`,
    hint: 'Nothing to do: Rotor reads it again.',
  });
}

function asking(permission: string, name: string): Asking {
  const asked: Asked = { permission, name };
  return {
    doing: `${name}: ${permission}`,
    translate: (thrown) => secretManagerError(thrown, asked),
  };
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((error: unknown) => {
    if (codeOf(error) === CODE.notFound) return undefined;
    throw error;
  });
}

async function gone(answer: Promise<unknown>): Promise<void> {
  await answer.catch((error: unknown) => {
    const code = codeOf(error);
    if (code !== CODE.notFound && code !== CODE.precondition) throw error;
  });
}

import { randomBytes } from 'node:crypto';
import { type DoubleAnswer, type DoubleRequest, HttpDouble, objectIn } from '../http-double.ts';
import { ManagedIdentityDouble } from './identity.ts';

interface Version {
  readonly version: string;
  readonly value: string;
  contentType: string | undefined;
  tags: Record<string, string>;
  enabled: boolean;
  exp: number | undefined;
  readonly created: number;
  updated: number;
}

interface Secret {
  /** Newest last. */
  readonly versions: Version[];
  /** Seconds since the epoch; undefined while it isn't deleted. */
  deleted: number | undefined;
  /** Looks at the deleted secret that don't find it yet. */
  looks: number;
}

const PAGE = 25;
const RETENTION_S = 90 * 86_400;

/**
 * A double of the secrets of one Azure Key Vault (data plane, api-version 7.x and later), written to Microsoft's REST
 * reference and its page of error codes: challenge, soft delete, versions, paging, RBAC and access policies. It is not
 * Azure.
 */
export class KeyVaultDouble extends HttpDouble {
  readonly secrets = new Map<string, Secret>();
  /** Permissions that the caller lacks, and the vault's permission model. */
  readonly lacks = new Set<'get' | 'set' | 'list' | 'delete'>();
  model: 'rbac' | 'access-policy' = 'rbac';
  /** What the challenge names as the service that tokens are for. */
  resource = 'https://vault.azure.net';

  /** What a consumer reads that names no version. */
  latest(name: string): Version | undefined {
    const secret = this.secrets.get(name.toLowerCase());
    return secret?.deleted === undefined ? secret?.versions.at(-1) : undefined;
  }

  /** As somebody else would set a version. */
  put(
    name: string,
    value: string,
    more: Partial<Pick<Version, 'tags' | 'contentType' | 'exp'>> = {},
  ): Version {
    const now = Math.floor(Date.now() / 1_000);
    const version = {
      version: randomBytes(16).toString('hex'),
      value,
      contentType: undefined,
      tags: {},
      enabled: true,
      exp: undefined,
      created: now,
      updated: now,
      ...more,
    };
    const secret = this.secrets.get(name.toLowerCase()) ?? { versions: [], deleted: undefined, looks: 0 };
    this.secrets.set(name.toLowerCase(), secret);
    secret.versions.push(version);
    return version;
  }

  protected usual({ method, path, query, headers, body }: DoubleRequest): DoubleAnswer {
    if (headers.authorization !== `Bearer ${ManagedIdentityDouble.TOKEN}`) {
      const challenge = `Bearer authorization="https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47", resource="${this.resource}"`;
      const message = 'AKV10000: Request is missing a Bearer or PoP token.';
      return {
        status: 401,
        headers: { 'www-authenticate': challenge },
        body: { error: { code: 'Unauthorized', message } },
      };
    }
    if (!query.get('api-version')) return failure(400, 'BadParameter', 'api-version must be specified');
    const [, kind, name = '', version] =
      /^\/(secrets|deletedsecrets)\/([0-9a-zA-Z-]{1,127})(?:\/([0-9a-z]*))?$/.exec(path) ?? [];
    if (kind === undefined) return failure(400, 'BadParameter', 'The request URI contains an invalid name');
    if (kind === 'deletedsecrets') return this.#deleted(method, name);
    const secret = this.secrets.get(name.toLowerCase());
    const permission =
      method === 'GET' ? (version === 'versions' ? 'list' : 'get') : method === 'DELETE' ? 'delete' : 'set';
    if (this.lacks.has(permission)) return this.#forbidden(permission, name);
    if (method === 'PUT') return this.#set(name, secret, objectIn(body) ?? {});
    const living = secret?.deleted === undefined ? secret : undefined;
    if (version === 'versions') return this.#versions(name, living, Number(query.get('$skiptoken') ?? 0));
    if (!living) return notFound(name);
    if (method === 'DELETE') {
      living.deleted = Math.floor(Date.now() / 1_000);
      living.looks = 1;
      return { status: 200, body: this.#shownDeleted(name, living) };
    }
    const found = version ? living.versions.find((each) => each.version === version) : living.versions.at(-1);
    if (!found) return notFound(name);
    if (method === 'PATCH') return this.#update(name, found, objectIn(body) ?? {});
    if (method !== 'GET') return failure(405, 'MethodNotAllowed', 'not allowed');
    if (!found.enabled)
      return failure(
        403,
        'Forbidden',
        'Operation get is not allowed on a disabled secret.',
        'SecretDisabled',
      );
    return { status: 200, body: { value: found.value, ...this.#shown(name, found) } };
  }

  #set(name: string, secret: Secret | undefined, sent: Record<string, unknown>): DoubleAnswer {
    if (secret?.deleted !== undefined) {
      const message = `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.`;
      return failure(409, 'Conflict', message, 'ObjectIsDeletedButRecoverable');
    }
    const { value, contentType } = sent;
    const tags = (sent.tags ?? {}) as Record<string, string>;
    if (typeof value !== 'string' || Buffer.byteLength(value) > 25_600)
      return failure(400, 'BadParameter', 'Property value has invalid value');
    const invalid = invalidTags(tags);
    if (invalid) return invalid;
    const attributes = (sent.attributes ?? {}) as { exp?: number; enabled?: boolean };
    const made = this.put(name, value, { tags, exp: attributes.exp });
    made.enabled = attributes.enabled !== false;
    if (typeof contentType === 'string') made.contentType = contentType;
    return { status: 200, body: { value, ...this.#shown(name, made) } };
  }

  #update(name: string, version: Version, sent: Record<string, unknown>): DoubleAnswer {
    const tags = sent.tags as Record<string, string> | undefined;
    const invalid = tags && invalidTags(tags);
    if (invalid) return invalid;
    if (tags) version.tags = tags;
    const attributes = (sent.attributes ?? {}) as { enabled?: boolean };
    if (attributes.enabled !== undefined) version.enabled = attributes.enabled;
    version.updated = Math.floor(Date.now() / 1_000);
    return { status: 200, body: this.#shown(name, version) };
  }

  /** In no useful order, as the real one: by the ids of the versions. */
  #versions(name: string, secret: Secret | undefined, from: number): DoubleAnswer {
    const all = [...(secret?.versions ?? [])].sort((a, b) => (a.version < b.version ? -1 : 1));
    const next = from + PAGE < all.length ? from + PAGE : undefined;
    const nextLink =
      next === undefined
        ? null
        : `${this.url}/secrets/${name}/versions?api-version=7.4&$skiptoken=${next}&maxresults=${PAGE}`;
    const value = all.slice(from, from + PAGE).map((each) => this.#shown(name, each));
    return { status: 200, body: { value, nextLink } };
  }

  /** A deletion takes a moment: until then the deleted secret isn't found. */
  #deleted(method: string, name: string): DoubleAnswer {
    const secret = this.secrets.get(name.toLowerCase());
    if (secret?.deleted === undefined || secret.looks-- > 0)
      return failure(404, 'SecretNotFound', `Deleted Secret not found: ${name}`);
    if (method === 'GET') return { status: 200, body: this.#shownDeleted(name, secret) };
    if (method !== 'DELETE') return failure(405, 'MethodNotAllowed', 'not allowed');
    this.secrets.delete(name.toLowerCase());
    return { status: 204 };
  }

  #forbidden(permission: string, name: string): DoubleAnswer {
    if (this.model === 'access-policy') {
      const message = `The user, group or application 'appid=1;oid=2;iss=https://sts.windows.net/3/' does not have secrets ${permission} permission on key vault 'shop;location=westeurope'.`;
      return failure(403, 'Forbidden', message, 'AccessDenied');
    }
    const action = { get: 'getSecret/action', set: 'setSecret/action', list: 'readMetadata/action' };
    const suffix = action[permission as keyof typeof action] ?? 'delete';
    const message = `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid=1;oid=2;iss=https://sts.windows.net/3/\r\nAction: 'Microsoft.KeyVault/vaults/secrets/${suffix}'\r\nResource: '/subscriptions/4/resourcegroups/shop/providers/microsoft.keyvault/vaults/shop/secrets/${name}'\r\nAssignment: (not found)\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: shop;location=westeurope\r\n`;
    return failure(403, 'Forbidden', message, 'ForbiddenByRbac');
  }

  #shown(name: string, { version, contentType, tags, enabled, exp, created, updated }: Version): object {
    return {
      id: `${this.url}/secrets/${name}/${version}`,
      ...(contentType ? { contentType } : {}),
      attributes: {
        enabled,
        created,
        updated,
        ...(exp === undefined ? {} : { exp }),
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90,
      },
      tags,
    };
  }

  #shownDeleted(name: string, secret: Secret): object {
    const deletedDate = secret.deleted ?? 0;
    const last = secret.versions.at(-1);
    return {
      recoveryId: `${this.url}/deletedsecrets/${name}`,
      deletedDate,
      scheduledPurgeDate: deletedDate + RETENTION_S,
      ...(last ? this.#shown(name, last) : {}),
    };
  }
}

/** An answer as Key Vault words its errors: the inner code says what the outer one leaves open. */
export function failure(status: number, code: string, message: string, inner?: string): DoubleAnswer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return { status, body: { error: { code, message, ...innererror } } };
}

function notFound(name: string): DoubleAnswer {
  const message = `A secret with (name/id) ${name} was not found in this key vault.`;
  return failure(404, 'SecretNotFound', message);
}

function invalidTags(tags: Record<string, string>): DoubleAnswer | undefined {
  const entries = Object.entries(tags);
  if (entries.length > 15) return failure(400, 'BadParameter', 'Too many tags');
  return entries.some(([name, value]) => name.length > 256 || value.length > 256)
    ? failure(400, 'BadParameter', 'Tag name or value is too long')
    : undefined;
}

import { crc32c } from '../../../stores/gcp-secret-manager/crc32c.ts';
import { type DoubleAnswer, type DoubleRequest, HttpDouble, objectIn } from '../http-double.ts';
import { TokenServiceDouble } from './token-service.ts';

interface Version {
  readonly number: number;
  readonly createTime: string;
  data: Buffer | undefined;
  state: 'ENABLED' | 'DISABLED' | 'DESTROYED';
}

interface Secret {
  /** Newest last. */
  readonly versions: Version[];
  readonly createTime: string;
  etag: number;
  fields: Record<string, unknown>;
}

/** Numbers of states, which clients ask for with `enum-encoding=int`. */
const STATE = { ENABLED: 1, DISABLED: 2, DESTROYED: 3 } as const;
const PAGE = 25;
const UPDATABLE: Readonly<Record<string, string>> = {
  annotations: 'annotations',
  labels: 'labels',
  version_aliases: 'versionAliases',
  versionAliases: 'versionAliases',
};

/**
 * A double of the secrets of Google Cloud Secret Manager, version 1, over REST, written to Google's reference: etags,
 * aliases, states of versions, `latest`, checksums, paging, permissions. It is not Google Cloud.
 */
export class SecretManagerDouble extends HttpDouble {
  readonly secrets = new Map<string, Secret>();
  /** Permissions that the caller lacks. */
  readonly lacks = new Set<string>();

  /** What a consumer reads by `latest` or by an alias; throws what Google would refuse. */
  read(name: string, which = 'latest'): string {
    const { status, body } = this.#access(name, which);
    if (status !== 200) throw new Error(JSON.stringify(body));
    const { payload } = body as { payload: { data: string } };
    return Buffer.from(payload.data, 'base64').toString('utf8');
  }

  /** As somebody else would make a secret or add a version. */
  put(
    name: string,
    value: string,
    fields: Record<string, unknown> = { replication: { automatic: {} } },
  ): Version {
    const secret = this.secrets.get(name) ?? { versions: [], createTime: now(), etag: 1, fields };
    this.secrets.set(name, secret);
    const number = secret.versions.length + 1;
    const version = { number, createTime: now(), data: Buffer.from(value), state: 'ENABLED' as const };
    secret.versions.push(version);
    return version;
  }

  protected usual(request: DoubleRequest): DoubleAnswer {
    const { method, path, query, headers } = request;
    if (headers.authorization !== `Bearer ${TokenServiceDouble.TOKEN}`)
      return failure(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    const body = objectIn(request.body) ?? {};
    const [, parent, name, which, action] =
      /^\/v1\/(projects\/[^/]+(?:\/locations\/[^/]+)?)\/secrets(?:\/([^/:]+))?(?:\/versions(?:\/([^/:]+))?)?(?::(\w+))?$/.exec(
        path,
      ) ?? [];
    if (parent === undefined) return failure(404, 'NOT_FOUND', 'Not found');
    if (name === undefined) return this.#create(parent, query.get('secretId') ?? '', body);
    const full = `${parent}/secrets/${name}`;
    if (action === 'testIamPermissions') return this.#permissions(full, body);
    const isVersions = path.includes('/versions');
    const operation = isVersions ? (which === undefined ? 'list' : (action ?? 'get')) : (action ?? method);
    const permission =
      {
        GET: 'secrets.get',
        PATCH: 'secrets.update',
        DELETE: 'secrets.delete',
        addVersion: 'versions.add',
      }[operation] ?? `versions.${operation}`;
    if (this.lacks.has(`secretmanager.${permission}`))
      return this.#denied(`secretmanager.${permission}`, full);
    const secret = this.secrets.get(full);
    if (!secret) return failure(404, 'NOT_FOUND', `Secret [${full}] not found.`);
    if (operation === 'list') return this.#list(full, secret, query);
    if (operation === 'access') return this.#access(full, which ?? '');
    if (isVersions) return this.#version(full, secret, which ?? '', operation);
    if (operation === 'GET') return { status: 200, body: shown(full, secret) };
    if (operation === 'PATCH') return this.#update(full, secret, query, body);
    if (operation === 'addVersion') return this.#add(full, body);
    return failure(501, 'UNIMPLEMENTED', operation);
  }

  #create(parent: string, id: string, body: Record<string, unknown>): DoubleAnswer {
    const full = `${parent}/secrets/${id}`;
    if (this.lacks.has('secretmanager.secrets.create'))
      return this.#denied('secretmanager.secrets.create', parent);
    if (!/^[0-9A-Za-z_-]{1,255}$/.test(id)) return failure(400, 'INVALID_ARGUMENT', 'Invalid secret id.');
    // A regional secret is where it is; a global one must say where it is kept.
    if (parent.includes('/locations/') === (body.replication !== undefined))
      return failure(400, 'INVALID_ARGUMENT', 'Invalid replication.');
    if (this.secrets.has(full)) return failure(409, 'ALREADY_EXISTS', `Secret [${full}] already exists.`);
    this.secrets.set(full, { versions: [], createTime: now(), etag: 1, fields: body });
    return { status: 200, body: shown(full, this.secrets.get(full) as Secret) };
  }

  #update(full: string, secret: Secret, query: URLSearchParams, body: Record<string, unknown>): DoubleAnswer {
    if (body.etag !== undefined && body.etag !== etagOf(secret))
      return failure(400, 'FAILED_PRECONDITION', 'The etag provided does not match the resource.');
    for (const path of (query.get('updateMask') ?? '').split(',')) {
      const field = UPDATABLE[path];
      if (!field) return failure(400, 'INVALID_ARGUMENT', `Invalid update mask ${path}`);
      const value = (body[field] ?? {}) as Record<string, unknown>;
      if (field === 'annotations' && JSON.stringify(value).length > 16_384)
        return failure(400, 'INVALID_ARGUMENT', 'Annotations are too large.');
      const unknown = Object.values(value).some((number) => !secret.versions[Number(number) - 1]);
      if (field === 'versionAliases' && unknown)
        return failure(400, 'INVALID_ARGUMENT', 'An alias names no version.');
      secret.fields = { ...secret.fields, [field]: value };
    }
    secret.etag += 1;
    return { status: 200, body: shown(full, secret) };
  }

  #add(full: string, body: Record<string, unknown>): DoubleAnswer {
    const { data, dataCrc32c } = (body.payload ?? {}) as { data?: string; dataCrc32c?: string };
    const bytes = Buffer.from(data ?? '', 'base64');
    if (bytes.length > 65_536) return failure(400, 'INVALID_ARGUMENT', 'The payload is too large.');
    if (dataCrc32c !== undefined && Number(dataCrc32c) !== crc32c(bytes))
      return failure(400, 'INVALID_ARGUMENT', 'The checksum does not match.');
    const version = this.put(full, bytes.toString('utf8'));
    version.data = bytes;
    return { status: 200, body: shownVersion(full, version) };
  }

  #list(full: string, { versions }: Secret, query: URLSearchParams): DoubleAnswer {
    const from = Number(query.get('pageToken') || 0);
    const size = Math.min(Number(query.get('pageSize') || PAGE), PAGE);
    const page = versions.toReversed().slice(from, from + size);
    const nextPageToken = from + size < versions.length ? String(from + size) : '';
    const body = {
      versions: page.map((each) => shownVersion(full, each)),
      nextPageToken,
      totalSize: versions.length,
    };
    return { status: 200, body };
  }

  #version(full: string, secret: Secret, which: string, operation: string): DoubleAnswer {
    const version = find(secret, which);
    if (!version) return failure(404, 'NOT_FOUND', `Secret Version [${full}/versions/${which}] not found.`);
    if (operation !== 'get' && version.state === 'DESTROYED')
      return failure(400, 'FAILED_PRECONDITION', `SecretVersion.state is already DESTROYED.`);
    if (operation === 'disable') version.state = 'DISABLED';
    if (operation === 'enable') version.state = 'ENABLED';
    if (operation === 'destroy') {
      version.state = 'DESTROYED';
      version.data = undefined;
    }
    return { status: 200, body: shownVersion(full, version) };
  }

  #access(full: string, which: string): DoubleAnswer {
    const secret = this.secrets.get(full);
    const version = secret && find(secret, which);
    if (!version) return failure(404, 'NOT_FOUND', `Secret [${full}] not found or has no versions.`);
    if (version.state !== 'ENABLED' || !version.data)
      return failure(
        400,
        'FAILED_PRECONDITION',
        `Secret Version [${full}/versions/${version.number}] is in ${version.state} state.`,
      );
    const payload = {
      data: version.data.toString('base64'),
      dataCrc32c: String(crc32c(version.data)),
    };
    return { status: 200, body: { name: `${full}/versions/${version.number}`, payload } };
  }

  #permissions(full: string, body: Record<string, unknown>): DoubleAnswer {
    const asked = (body.permissions ?? []) as readonly string[];
    const permissions = this.secrets.has(full) ? asked.filter((each) => !this.lacks.has(each)) : [];
    return { status: 200, body: { permissions } };
  }

  #denied(permission: string, full: string): DoubleAnswer {
    const message = `Permission '${permission}' denied for resource '${full}' (or it may not exist).`;
    return failure(403, 'PERMISSION_DENIED', message);
  }
}

/** An answer as Google words its errors (AIP-193). */
export function failure(
  code: number,
  status: string,
  message: string,
  details: readonly object[] = [],
): DoubleAnswer {
  return { status: code, body: { error: { code, message, status, details } } };
}

function find(secret: Secret, which: string): Version | undefined {
  if (which === 'latest') return secret.versions.at(-1);
  const aliases = (secret.fields.versionAliases ?? {}) as Record<string, string | number>;
  return secret.versions[Number(aliases[which] ?? which) - 1];
}

function shown(name: string, secret: Secret): object {
  const { createTime, fields } = secret;
  return { ...fields, name, createTime, etag: etagOf(secret) };
}

function shownVersion(name: string, { number, createTime, state }: Version): object {
  return {
    name: `${name}/versions/${number}`,
    createTime,
    state: STATE[state],
    etag: `"${number}-${state}"`,
  };
}

function etagOf({ etag }: Secret): string {
  return `"${etag.toString(16)}"`;
}

function now(): string {
  return new Date().toISOString();
}

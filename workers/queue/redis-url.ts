import { readFileSync } from 'node:fs';
import { foreignCode, RotorError } from '../../core/errors.ts';

/** What a URL of Redis says. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The number of the database, for one server and for Sentinel. */
  readonly db: number;
  /** The name by which the sentinels know the master. */
  readonly master: string;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** Certificates of the authorities that are trusted beside nobody else; undefined: those that Node trusts. */
  readonly tls: { readonly ca: string | undefined } | undefined;
}

const URL_FORM =
  /^redis(?<tls>s?)(?:-(?<kind>sentinel|cluster))?:\/\/(?:(?<username>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?]+)(?:\/(?<path>[^?]*))?(?:\?(?<query>.*))?$/;
const HOST = /^(?:\[(?<ip6>[0-9a-fA-F:.]+)\]|(?<name>[^\s:[\]]+))(?::(?<port>\d{1,5}))?$/;

/**
 * Reads `redis://`, `redis-sentinel://` and `redis-cluster://`, each also with TLS as `rediss`.
 * @throws RotorError `config.invalid` that says which part is wrong, without repeating it
 */
export function readRedisUrl(url: string): RedisAddress {
  const found = URL_FORM.exec(url)?.groups;
  if (!found) throw invalid('is no URL of Redis');
  const kind = (found.kind ?? 'single') as RedisAddress['kind'];
  const hosts = (found.hosts ?? '')
    .split(',')
    .map((host) => hostOf(host, kind === 'sentinel' ? 26_379 : 6_379));
  if (kind === 'single' && hosts.length > 1)
    throw invalid('names several hosts: use redis-cluster:// or redis-sentinel://');
  const [master = '', number] = kind === 'sentinel' ? (found.path ?? '').split('/') : ['', found.path];
  if (kind === 'sentinel' && master === '')
    throw invalid("needs the master's name after the hosts: redis-sentinel://host:26379/name");
  const options = optionsOf(found.query, found.tls === 's', kind);
  return {
    kind,
    hosts,
    username: decoded(found.username),
    password: decoded(found.password),
    db: databaseOf(number, kind),
    master: decoded(master) ?? '',
    sentinelUsername: options.get('sentinelUsername'),
    sentinelPassword: options.get('sentinelPassword'),
    tls: found.tls === 's' ? { ca: authorities(options.get('caFile')) } : undefined,
  };
}

function hostOf(text: string, usual: number): { host: string; port: number } {
  const found = HOST.exec(text)?.groups;
  const port = Number(found?.port ?? usual);
  const host = found?.ip6 ?? found?.name;
  if (!host || port < 1 || port > 65_535) throw invalid('has a host that is not host:port');
  return { host, port };
}

function databaseOf(text: string | undefined, kind: RedisAddress['kind']): number {
  if (!text) return 0;
  if (kind === 'cluster') throw invalid('names a database, and a cluster has none');
  if (!/^\d{1,5}$/.test(text)) throw invalid('has a database that is no number');
  return Number(text);
}

function optionsOf(
  query: string | undefined,
  tls: boolean,
  kind: RedisAddress['kind'],
): ReadonlyMap<string, string> {
  const options = new Map(new URLSearchParams(query ?? ''));
  const known = [
    ...(tls ? ['caFile'] : []),
    ...(kind === 'sentinel' ? ['sentinelUsername', 'sentinelPassword'] : []),
  ];
  for (const name of options.keys()) {
    if (known.includes(name)) continue;
    if (name === 'caFile') throw invalid('has caFile without TLS: use rediss instead of redis');
    throw invalid(
      known.length > 0
        ? `has an option other than ${known.join(', ')}`
        : 'has options, and there are none for it',
    );
  }
  return options;
}

function authorities(file: string | undefined): string | undefined {
  if (!file) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid(`its caFile can't be read (${foreignCode(error) ?? 'unknown error'})`);
  }
  if (!text.includes('BEGIN CERTIFICATE')) throw invalid('its caFile holds no certificate in PEM format');
  return text;
}

function decoded(text: string | undefined): string | undefined {
  if (!text) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has a "%" that encodes nothing: write it as %25');
  }
}

function invalid(problem: string): RotorError {
  return new RotorError('config.invalid', { what: `ROTOR_QUEUE_URL: ${problem}` });
}

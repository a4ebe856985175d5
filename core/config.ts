import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { closest } from './closest.ts';
import { SETTINGS, type Setting, type SettingName } from './config-settings.ts';
import { duration } from './duration-schema.ts';
import { foreignCode, RotorError } from './errors.ts';
import { SecretValue } from './secret.ts';

const DAY_MS = 86_400_000;

const url = (schemes: readonly string[]) => {
  const needs = `needs ${schemes.map((scheme) => `${scheme}://`).join(', ')}`;
  return z.string().refine((text) => isUrl(text, schemes), needs);
};
const secretUrl = (schemes: readonly string[]) => url(schemes).transform((text) => SecretValue.of(text));

/** Address and port to listen at, as text such as `127.0.0.1:8420` or `[::1]:8420`. */
export const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, 'needs address and port, such as "127.0.0.1:8420"')
  .transform(splitListen)
  .refine(({ port }) => port <= 65_535, 'needs a port up to 65535');

const schema = z.object({
  databaseUrl: secretUrl(['postgres', 'postgresql']).optional(),
  queueUrl: secretUrl([
    'redis',
    'rediss',
    'redis-sentinel',
    'rediss-sentinel',
    'redis-cluster',
    'rediss-cluster',
    'postgres',
    'postgresql',
  ]).optional(),
  keyFile: z.string().optional(),
  listen: listenAddress,
  healthListen: listenAddress.optional(),
  home: z.string(),
  mode: z.enum(['embedded', 'production'], 'needs embedded or production').optional(),
  migrate: z.enum(['auto', 'check'], 'needs auto or check'),
  logLevel: z.enum(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'needs trace, debug, info, warn, error, fatal or silent',
  ),
  token: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'needs to be one line without spaces')
    .transform((text) => SecretValue.of(text))
    .optional(),
  url: url(['http', 'https']).refine(
    (text) => !URL.canParse(text) || new URL(text).password === '',
    'must not hold a password: use ROTOR_TOKEN_FILE',
  ),
  commandsFile: z.string().optional(),
  functionsListen: listenAddress,
  functionsUrl: url(['http', 'https']).optional(),
  watchNamespaces: z
    .string()
    .transform((text) => (text.trim() === '*' ? ('*' as const) : text.split(',').map((name) => name.trim())))
    .refine(
      (names) => names === '*' || names.every((name) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)),
      'needs names of namespaces, separated by commas, or "*" for all of them',
    )
    .optional(),
  hooksFile: z.string().optional(),
  leaseMs: duration({ min: 2_000, max: 600_000 }),
  concurrency: z
    .string()
    .regex(/^([1-9]\d{0,2}|1000)$/, 'needs a whole number from 1 to 1000')
    .transform(Number),
  journalRetentionMs: duration({ min: DAY_MS }),
  readsRetentionMs: duration({ min: DAY_MS }),
  sweepIntervalMs: duration({ min: 50, max: 300_000 }),
  driftIntervalMs: duration({ min: 5_000, max: DAY_MS }),
} satisfies Record<SettingName, z.ZodType>);

type Parsed = z.output<typeof schema>;

/** Everything that can be configured, read once at start. Durations in milliseconds; secrets in SecretValue. */
export type Config = Readonly<Omit<Parsed, 'mode'>> & { readonly mode: 'embedded' | 'production' };

/** Options of the command line by the names of {@link Config}; they beat the environment. */
export type ConfigFlags = Partial<Readonly<Record<SettingName, string | undefined>>>;

interface Raw {
  readonly values: Readonly<Partial<Record<SettingName, string>>>;
  readonly problems: readonly string[];
}

/**
 * Reads the configuration from the environment and flags; empty variables count as not set.
 * @param readText reads the file of a `_FILE` variable
 * @throws RotorError `config.invalid` with one line for each problem, naming the variable; never repeats a value
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  flags: ConfigFlags = {},
  readText: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): Config {
  const raw = gather(env, flags, readText);
  const parsed = schema.safeParse(raw.values);
  const invalid = (parsed.error?.issues ?? []).map((issue) => {
    const name = issue.path[0] as SettingName;
    return `${SETTINGS[name].variable}: ${issue.message}`;
  });
  const mode = raw.values.mode ?? (isDatabaseGiven(env, raw) ? 'production' : 'embedded');
  const missing = mode === 'production' ? missingInProduction(env, raw) : [];
  const nowhere = parsed.success ? unreachable(parsed.data) : [];
  const problems = [...new Set([...raw.problems, ...invalid, ...missing, ...nowhere, ...misspelt(env)])];
  if (!parsed.success || problems.length > 0) {
    throw new RotorError('config.invalid', { what: problems.join('\n') });
  }
  return { ...parsed.data, mode: mode === 'production' ? 'production' : 'embedded' };
}

/** Texts of all settings that are given or have a default: flag, then variable, then file, then default. */
function gather(
  env: Readonly<Record<string, string | undefined>>,
  flags: ConfigFlags,
  readText: (file: string) => string,
): Raw {
  const values: Partial<Record<SettingName, string>> = {};
  const problems: string[] = [];
  for (const [name, setting] of entries()) {
    const { variable } = setting;
    const given = (setting.flag ? flags[name] : undefined) || env[variable];
    const file = setting.secret ? env[`${variable}_FILE`] : undefined;
    if (given && file) problems.push(`${variable}: is set, and so is ${variable}_FILE: keep one of the two`);
    let value = given || setting.default;
    if (!given && file) {
      try {
        value = readText(file).trim();
        if (value === '') problems.push(`${variable}_FILE: the file is empty`);
      } catch (error) {
        problems.push(`${variable}_FILE: the file can't be read (${foreignCode(error) ?? 'unknown error'})`);
      }
    }
    if (value) values[name] = value;
  }
  return { values, problems };
}

/** A database that is named but can't be read is no reason to start an empty one. */
function isDatabaseGiven(env: Readonly<Record<string, string | undefined>>, raw: Raw): boolean {
  return Boolean(raw.values.databaseUrl || env.ROTOR_DATABASE_URL_FILE);
}

function missingInProduction(env: Readonly<Record<string, string | undefined>>, raw: Raw): string[] {
  const problems: string[] = [];
  if (!isDatabaseGiven(env, raw)) problems.push('ROTOR_DATABASE_URL: is required in production');
  if (!raw.values.keyFile) {
    problems.push('ROTOR_KEY_FILE: is required in production, so that a key is never made by accident');
  }
  return problems;
}

/** Functions are told an address: "every address of this machine" is none that they could call. */
function unreachable({ functionsListen, functionsUrl }: Parsed): string[] {
  if (functionsUrl !== undefined || !['0.0.0.0', '::'].includes(functionsListen.host)) return [];
  return [
    'ROTOR_FUNCTIONS_URL: is required when ROTOR_FUNCTIONS_LISTEN is every address: functions have to be told one',
  ];
}

/**
 * Variables that look like slips of the pen. Other unknown ones are let be: Kubernetes sets ROTOR_PORT
 * and the like for a Service named rotor.
 */
function misspelt(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(
    entries().flatMap(([, { variable, secret }]) => (secret ? [variable, `${variable}_FILE`] : [variable])),
  );
  const strange = Object.keys(env).filter((name) => name.startsWith('ROTOR_') && !known.has(name));
  return strange.flatMap((name) => {
    const meant = closest(name, known);
    return meant ? [`${name}: is not known; did you mean ${meant}?`] : [];
  });
}

function entries(): [SettingName, Setting][] {
  return Object.entries(SETTINGS) as [SettingName, Setting][];
}

/** Lists of hosts (`redis-cluster://a:1,b:2`) are no URLs to the platform, so only their scheme is looked at. */
function isUrl(text: string, schemes: readonly string[]): boolean {
  const scheme = /^([a-z][a-z-]*):\/\/[^\s/]+/.exec(text)?.[1];
  if (scheme === undefined || !schemes.includes(scheme) || /\s/.test(text)) return false;
  return text.includes(',') || URL.canParse(text);
}

function splitListen(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type ConfigFlags, readConfig } from './config.ts';
import { SETTINGS } from './config-settings.ts';
import { RotorError } from './errors.ts';

const files = (contents: Record<string, string>) => (file: string) => {
  const content = contents[file];
  if (content === undefined) throw Object.assign(new Error(`no ${file}`), { code: 'ENOENT' });
  return content;
};
const PRODUCTION = { ROTOR_DATABASE_URL: 'postgres://u:hunter2@db/rotor', ROTOR_KEY_FILE: '/etc/rotor/key' };

function problemsOf(env: Record<string, string>, flags: ConfigFlags = {}): string[] {
  try {
    readConfig(env, flags, files({ '/empty': ' \n' }));
  } catch (error) {
    if (error instanceof RotorError && error.code === 'config.invalid') return error.message.split('\n');
    throw error;
  }
  return [];
}

test('nothing set means an embedded Rotor on this machine only', () => {
  expect(readConfig({})).toEqual({
    mode: 'embedded',
    listen: { host: '127.0.0.1', port: 8420 },
    functionsListen: { host: '127.0.0.1', port: 0 },
    home: './.rotor',
    migrate: 'auto',
    logLevel: 'info',
    url: 'http://127.0.0.1:8420',
    leaseMs: 30_000,
    concurrency: 10,
    journalRetentionMs: 90 * 86_400_000,
    readsRetentionMs: 90 * 86_400_000,
    sweepIntervalMs: 500,
    driftIntervalMs: 300_000,
  });
});

describe('mode', () => {
  test('is production once a database is named', () => {
    expect(readConfig(PRODUCTION).mode).toBe('production');
    const fromFile = { ROTOR_DATABASE_URL_FILE: '/db', ROTOR_KEY_FILE: '/key' };
    expect(readConfig(fromFile, {}, files({ '/db': 'postgres://db/rotor\n' })).mode).toBe('production');
  });
  test('may be said otherwise', () => {
    expect(readConfig({ ROTOR_DATABASE_URL: 'postgres://db/rotor', ROTOR_MODE: 'embedded' }).mode).toBe(
      'embedded',
    );
  });
});

describe('secrets', () => {
  test('come from files without their last line break', () => {
    const config = readConfig({ ROTOR_TOKEN_FILE: '/token' }, {}, files({ '/token': 'abc123\n' }));
    expect(config.token?.reveal()).toBe('abc123');
  });
  test('are not shown by printing the configuration', () => {
    const config = readConfig({
      ...PRODUCTION,
      ROTOR_TOKEN: 'hunter2',
      ROTOR_QUEUE_URL: 'redis://:hunter2@q',
    });
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config)).not.toContain('hunter2');
  });
  test('are no options of the command line', () => {
    expect(readConfig({}, { token: 'hunter2' }).token).toBeUndefined();
    for (const setting of Object.values(SETTINGS)) expect(setting.secret && 'flag' in setting).toBe(false);
  });
});

test('flags beat the environment', () => {
  const config = readConfig({ ROTOR_LISTEN: '0.0.0.0:1', ROTOR_LEASE: '1m' }, { listen: '[::1]:0' });
  expect(config).toMatchObject({ listen: { host: '::1', port: 0 }, leaseMs: 60_000 });
});

describe('the address by which functions reach a worker', () => {
  test('may be written in brackets whatever its family is, as the address of a pod has to be', () => {
    const listening = (at: string) => readConfig({ ROTOR_FUNCTIONS_LISTEN: at }).functionsListen;
    expect(listening('[10.1.2.3]:8422')).toEqual({ host: '10.1.2.3', port: 8422 });
    expect(listening('[fd00::7]:8422')).toEqual({ host: 'fd00::7', port: 8422 });
  });
  test.each(['0.0.0.0:8422', '[::]:8422'])('has to be named when %s is listened at', (at) => {
    const env = { ROTOR_FUNCTIONS_LISTEN: at };
    expect(problemsOf(env)).toEqual([expect.stringMatching(/^ROTOR_FUNCTIONS_URL: is required/)]);
    expect(problemsOf({ ...env, ROTOR_FUNCTIONS_URL: 'https://rotor.example.com' })).toEqual([]);
  });
});

test.each([
  'redis://q:6379',
  'rediss://u:p@q:6379/1',
  'redis-sentinel://a:26379,b:26379/main',
  'redis-cluster://a:6379,b:6379',
  'rediss-sentinel://:p@a:26379,b:26379/main?caFile=%2Fca.pem',
  'rediss-cluster://a:6379,b:6379',
  'postgres://q/queue',
])('%s is a queue', (url) => {
  expect(readConfig({ ROTOR_QUEUE_URL: url }).queueUrl?.reveal()).toBe(url);
});

test.each<[string, Record<string, string>, string]>([
  [
    'a production without key',
    { ROTOR_DATABASE_URL: 'postgres://db/x' },
    'ROTOR_KEY_FILE: is required in production, so that a key is never made by accident',
  ],
  [
    'a production without database',
    { ROTOR_MODE: 'production', ROTOR_KEY_FILE: '/k' },
    'ROTOR_DATABASE_URL: is required in production',
  ],
  [
    'a database that is none',
    { ...PRODUCTION, ROTOR_DATABASE_URL: 'mysql://u:hunter2@db' },
    'ROTOR_DATABASE_URL: needs postgres://, postgresql://',
  ],
  [
    'a queue that is none',
    { ROTOR_QUEUE_URL: 'amqp://u:hunter2@q' },
    'ROTOR_QUEUE_URL: needs redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster://, rediss-cluster://, postgres://, postgresql://',
  ],
  [
    'both a secret and its file',
    { ROTOR_TOKEN: 'hunter2', ROTOR_TOKEN_FILE: '/empty' },
    'ROTOR_TOKEN: is set, and so is ROTOR_TOKEN_FILE: keep one of the two',
  ],
  ['an empty file', { ROTOR_TOKEN_FILE: '/empty' }, 'ROTOR_TOKEN_FILE: the file is empty'],
  [
    'a file that is not there',
    { ROTOR_DATABASE_URL_FILE: '/hunter2', ROTOR_KEY_FILE: '/k' },
    "ROTOR_DATABASE_URL_FILE: the file can't be read (ENOENT)",
  ],
  ['a way to migrate that is none', { ROTOR_MIGRATE: 'never' }, 'ROTOR_MIGRATE: needs auto or check'],
  ['a mode that is none', { ROTOR_MODE: 'prod' }, 'ROTOR_MODE: needs embedded or production'],
  [
    'an address without port',
    { ROTOR_LISTEN: '8420' },
    'ROTOR_LISTEN: needs address and port, such as "127.0.0.1:8420"',
  ],
  ['a port that is none', { ROTOR_LISTEN: 'h:70000' }, 'ROTOR_LISTEN: needs a port up to 65535'],
  [
    'a level that is none',
    { ROTOR_LOG_LEVEL: 'loud' },
    'ROTOR_LOG_LEVEL: needs trace, debug, info, warn, error, fatal or silent',
  ],
  [
    'a password for the API',
    { ROTOR_URL: 'http://u:hunter2@h' },
    'ROTOR_URL: must not hold a password: use ROTOR_TOKEN_FILE',
  ],
  [
    'a token of two lines',
    { ROTOR_TOKEN: 'hunter2\nhunter2' },
    'ROTOR_TOKEN: needs to be one line without spaces',
  ],
  [
    'a namespace that is none',
    { ROTOR_WATCH_NAMESPACES: 'shop, Bad' },
    'ROTOR_WATCH_NAMESPACES: needs names of namespaces, separated by commas, or "*" for all of them',
  ],
  ['a lease that is too short', { ROTOR_LEASE: '1s' }, 'ROTOR_LEASE: needs to be at least 2s'],
  [
    'a lease without unit',
    { ROTOR_LEASE: '30' },
    'ROTOR_LEASE: needs a duration such as "90s", "1h30m" or "30d"',
  ],
  ['no concurrency', { ROTOR_CONCURRENCY: '0' }, 'ROTOR_CONCURRENCY: needs a whole number from 1 to 1000'],
  [
    'a misspelt variable',
    { ROTOR_DATABSE_URL: 'postgres://u:hunter2@db' },
    'ROTOR_DATABSE_URL: is not known; did you mean ROTOR_DATABASE_URL?',
  ],
])('%s is refused', (_, env, problem) => {
  expect(problemsOf(env)).toEqual([problem]);
  expect(problem).not.toContain('hunter2');
});

test.each<[string, unknown]>([
  ['shop', ['shop']],
  ['shop, web-2', ['shop', 'web-2']],
  ['*', '*'],
])('custom resources are followed in %s', (text, namespaces) => {
  expect(readConfig({ ROTOR_WATCH_NAMESPACES: text }).watchNamespaces).toEqual(namespaces);
});

test('all problems come at once', () => {
  expect(problemsOf({ ROTOR_MODE: 'production', ROTOR_LEASE: 'x', ROTOR_LISTEN: 'y' })).toHaveLength(4);
});

test('what Kubernetes sets for a Service named rotor is no mistake', () => {
  expect(
    problemsOf({
      ROTOR_PORT: 'tcp://10.0.0.1:8420',
      ROTOR_SERVICE_HOST: '10.0.0.1',
      ROTOR_PORT_8420_TCP: 'x',
    }),
  ).toEqual([]);
});

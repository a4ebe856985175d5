import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { processInvoker } from './process.ts';
import type { Lent } from './secret-desk.ts';

const EVENT = { Step: 'setSecret', SecretId: 'arn:secret', ClientRequestToken: 'token' };
const LENT: Lent = {
  endpoint: 'http://127.0.0.1:1',
  region: 'us-east-1',
  secretId: 'arn:secret',
  key: { accessKeyId: 'ASIAEXAMPLE', secretAccessKey: SecretValue.of('the-key-of-this-step') },
  sessionToken: SecretValue.of('the-token-of-this-step'),
  put: undefined,
  handed: [],
  problem: undefined,
  end: () => undefined,
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-process-'));
});

function shell(script: string, options: { memory?: number; allowed?: () => void } = {}) {
  const spec = {
    run: ['/bin/sh', '-c', script] as const,
    environment: { OUT: join(folder, 'out') },
    memory: options.memory ?? 1_024,
  };
  return processInvoker('function x', { ...spec, run: [...spec.run] }, options.allowed ?? (() => undefined));
}

const out = () => readFile(join(folder, 'out'), 'utf8');

test('the event comes on standard input, and the variables are those of the contract alone', async () => {
  process.env.ROTOR_MARKER = 'of the worker';
  const ended = await shell('cat > "$OUT"; env | sort >> "$OUT"').invoke(aCall(), EVENT, LENT);
  delete process.env.ROTOR_MARKER;
  expect(ended).toEqual({ ok: true });
  const [event, ...variables] = (await out()).replace('}', '}\n').trim().split('\n');
  expect(JSON.parse(event ?? '')).toEqual(EVENT);
  expect(variables.map((line) => line.split('=')[0])).toEqual(
    [
      'AWS_ACCESS_KEY_ID',
      'AWS_CONFIG_FILE',
      'AWS_DEFAULT_REGION',
      'AWS_EC2_METADATA_DISABLED',
      'AWS_ENDPOINT_URL_SECRETS_MANAGER',
      'AWS_MAX_ATTEMPTS',
      'AWS_REGION',
      'AWS_RETRY_MODE',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_SESSION_TOKEN',
      'AWS_SHARED_CREDENTIALS_FILE',
      'HOME',
      'LANG',
      'NO_PROXY',
      'OUT',
      'PATH',
      'PWD',
      'SECRETS_MANAGER_ENDPOINT',
      'TMPDIR',
      'no_proxy',
    ].sort(),
  );
});

test('no secret is among the arguments, and the folder it works in is its own and goes with it', async () => {
  await shell(
    'tr "\\0" " " < /proc/$$/cmdline > "$OUT"; echo >> "$OUT"; pwd >> "$OUT"; ls -ld . >> "$OUT"; echo x > left',
  ).invoke(aCall(), EVENT, LENT);
  const [command, place, mode] = (await out()).trim().split('\n').slice(-3);
  expect(command).not.toMatch(/of-this-step/);
  expect(mode).toMatch(/^drwx------/);
  expect(place).toMatch(/rotor-function-/);
  expect(existsSync(place ?? '')).toBe(false);
});

test('it tells its error by the last line of its output', async () => {
  const script = `echo noise; echo '{"errorType":"ValueError","errorMessage":"no login"}'; exit 1`;
  expect(await shell(script).invoke(aCall(), EVENT, LENT)).toEqual({
    ok: false,
    errorType: 'ValueError',
    errorMessage: 'no login',
  });
});

test.each([
  ['a program that crashes', 'kill -SEGV $$', 'function.failed', 'ambiguous'],
  ['one that fails without a word', 'echo the-key-of-this-step; exit 3', 'function.failed', 'ambiguous'],
  ['one that is not there', 'exec /nowhere/program', 'reference.unresolved', 'terminal'],
] as const)('%s is no refused credential', async (_what, script, code, kind) => {
  const error = await shell(script)
    .invoke(aCall(), EVENT, LENT)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code, kind });
  expect(String(error)).not.toContain('of-this-step');
});

test('one that takes too long is killed with all that it started', async () => {
  const script = 'sleep 60 & echo $! > "$OUT"; wait';
  const error = shell(script).invoke(aCall({ deadline: Deadline.after(700) }), EVENT, LENT);
  await expect(error).rejects.toMatchObject({ code: 'call.timeout', kind: 'ambiguous' });
  const pid = (await out()).trim();
  await expect
    .poll(() =>
      readFile(`/proc/${pid}/stat`, 'utf8').then(
        (stat) => / Z /.test(stat),
        () => true,
      ),
    )
    .toBe(true);
});

test('it gets no more memory than it is given', async () => {
  await shell('ulimit -v > "$OUT"; ulimit -c >> "$OUT"', { memory: 100 }).invoke(aCall(), EVENT, LENT);
  expect((await out()).trim().split('\n')).toEqual([String(100 * 1_024), '0']);
});

test('what the operator has not allowed is not started', async () => {
  const allowed = () => {
    throw new RotorError('rollout.command-not-allowed', { what: 'no' });
  };
  const started = shell('touch "$OUT"', { allowed }).invoke(aCall(), EVENT, LENT);
  await expect(started).rejects.toMatchObject({ code: 'rollout.command-not-allowed' });
  expect(existsSync(join(folder, 'out'))).toBe(false);
});

import { beforeEach, expect, test } from 'vitest';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { DirectSession } from './direct-session.ts';
import type { StepOutcome } from './invoke.ts';
import { credentialSpec } from './spec.ts';

const PENDING: Credential = {
  versionId: 'v1',
  identity: 'app',
  fields: { username: 'app' },
  secrets: { password: SecretValue.of('new-password') },
};
const FAILED = {
  ok: false,
  errorType: 'ValueError',
  errorMessage: 'no login as app with current-password',
} as const;

let invoked: string[];
let outcomes: Record<string, StepOutcome>;
let limit: () => Promise<number>;
let session: DirectSession;

beforeEach(() => {
  invoked = [];
  outcomes = {};
  limit = async () => 30_000;
  const spec = credentialSpec.parse({
    mode: 'single-user',
    acknowledgeNoOverlap: true,
    secretId: 'arn:secret',
  });
  if (spec.mode === 'new-key') throw new Error('another mode was asked for');
  session = new DirectSession(
    { ...spec, secretId: 'arn:secret' },
    {
      invoker: {
        name: 'function x',
        limitMs: () => limit(),
        invoke: async (_call, { Step }) => {
          invoked.push(Step);
          return outcomes[Step] ?? { ok: true };
        },
      },
      format: { identity: 'username', secrets: ['password'] },
      timeoutMs: 30_000,
      callMs: 60_000,
      lingersMs: 30_000,
    },
  );
});

test('createSecret comes first, so that a way back knows whether setSecret can have begun', async () => {
  await session.prepare(aCall(), PENDING);
  expect(invoked).toEqual(['createSecret']);
  await session.install(aCall(), PENDING);
  expect(invoked).toEqual(['createSecret', 'setSecret']);
});

test.each([
  ['works', undefined, 'the provider accepts the new credential of app'],
  ['fails', FAILED, 'whether the provider accepts the new credential of app is not known'],
])(
  'when testSecret %s the way back asks a human, since nothing can be taken back',
  async (_what, outcome, words) => {
    outcomes = outcome ? { testSecret: outcome } : {};
    await expect(session.uninstall(aCall(), PENDING)).rejects.toMatchObject({
      code: 'rotation.needs-human',
      message: expect.stringContaining(words),
    });
  },
);

test('what it says is not told on: it has read secrets that nobody here knows', async () => {
  outcomes = { setSecret: FAILED };
  const thrown = await session.install(aCall(), PENDING).catch((error: unknown) => error as RotorError);
  expect(thrown).toMatchObject({ code: 'function.failed', kind: 'ambiguous' });
  expect(thrown?.message).toContain('ValueError');
  expect(JSON.stringify(thrown)).not.toContain('current-password');
  outcomes = { setSecret: { ...FAILED, errorType: 'current password' } };
  await expect(session.install(aCall(), PENDING)).rejects.toThrow(/an error/);
});

test('a function that may run longer than Rotor waits is refused; one that nobody tells about is warned of', async () => {
  const warned = async () => (await session.plan(aCall(), PENDING)).warnings.join('; ');
  expect(await warned()).not.toContain('timeout');
  limit = async () => 60_000;
  await expect(warned()).rejects.toMatchObject({ code: 'manifest.invalid', message: /may run for 1m/ });
  limit = async () => {
    throw new RotorError('provider.permission-denied', { what: 'lambda:GetFunctionConfiguration' });
  };
  expect(await warned()).toContain('lambda:GetFunctionConfiguration');
});

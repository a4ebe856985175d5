import { beforeEach, expect, test } from 'vitest';
import { type Credential, encodeCredential } from '../../core/credential.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import type { Invoker } from './invoke.ts';
import type { Lent, Loan, SecretDesk } from './secret-desk.ts';
import { FunctionSession, formatOf } from './session.ts';
import { credentialSpec } from './spec.ts';
import { Steps } from './steps.ts';

const credential = (versionId: string, username: string, password: string): Credential => ({
  versionId,
  identity: username,
  fields: { username, host: 'db' },
  secrets: { password: SecretValue.of(password) },
});
const OLD = credential('v0', 'app', 'old-password');
const NEW = credential('v1', 'app_clone', 'new-password');

/** What the provider accepts, as `user:password`; undefined: nobody reaches it. */
let accepted: Set<string> | undefined;
let tried: string[];
let session: FunctionSession;

beforeEach(() => {
  accepted = new Set(['app:old-password', 'app_clone:new-password']);
  tried = [];
  let loan: Loan | undefined;
  const desk: SecretDesk = {
    lend: async (_call, asked) => {
      loan = asked;
      return { secretId: 'arn', handed: [], problem: undefined, end: () => undefined } as unknown as Lent;
    },
    read: async (_call, which) =>
      which === 'current' ? { versionId: NEW.versionId, document: encodeCredential(NEW) } : undefined,
  };
  const invoker: Invoker = {
    name: 'function x',
    invoke: async () => {
      const { username, password, host } = JSON.parse(loan?.shown?.pending?.document.reveal() ?? '{}');
      tried.push(`${username}`);
      if (host === 'db' && accepted?.has(`${username}:${password}`)) return { ok: true };
      return { ok: false, errorType: 'ValueError', errorMessage: 'Unable to log in' };
    },
  };
  const spec = credentialSpec.parse({ mode: 'alternating-users' });
  const steps = new Steps({
    desk,
    invoker,
    format: formatOf(spec),
    timeoutMs: 1_000,
    key: async () => undefined,
    admin: async () => undefined,
  });
  session = new FunctionSession(spec, {
    name: 'function x',
    steps,
    desk,
    callMs: 5_000,
    ownLimit: async () => [],
  });
});

test('one that works is accepted, and no other has to be tried', async () => {
  expect(await session.attempt(aCall(), OLD)).toBe('accepted');
  expect(tried).toEqual(['app']);
});

test('one that fails is refused only as another one works right after', async () => {
  accepted?.delete('app:old-password');
  expect(await session.attempt(aCall(), OLD)).toBe('refused');
  expect(tried).toEqual(['app', 'app_clone']);
});

test('when none works nobody can tell, also if one worked a moment ago', async () => {
  expect(await session.attempt(aCall(), NEW)).toBe('accepted');
  accepted = undefined;
  await expect(session.attempt(aCall(), OLD)).rejects.toMatchObject({
    code: 'provider.unreachable',
    kind: 'retryable',
    message: expect.stringContaining('Unable to log in'),
  });
});

test('one that is known by name and secret only is tried as a whole', async () => {
  const bare = { ...OLD, fields: {} };
  expect(await session.attempt(aCall(), bare)).toBe('accepted');
  await expect(session.attempt(aCall(), { ...bare, secrets: {} })).rejects.toMatchObject({
    code: 'credential.malformed',
  });
});

test('a new version that names another host is not taken', async () => {
  const steps = { create: async () => ({ ...NEW, fields: { ...NEW.fields, host: 'elsewhere' } }) };
  const spec = credentialSpec.parse({ mode: 'alternating-users' });
  const parts = {
    name: 'function x',
    steps: steps as unknown as Steps,
    desk: {} as SecretDesk,
    callMs: 1,
    ownLimit: async () => [],
  };
  await expect(new FunctionSession(spec, parts).generate(aCall(), 'v1', OLD)).rejects.toMatchObject({
    code: 'provider.refused-credential',
    message: expect.stringContaining('"host"'),
  });
});

import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { randomRotator } from '../../rotators/random/rotator.ts';
import { LocalSession } from '../../stores/local/session.ts';
import { aCall } from '../../test/setup/call.ts';
import type { StepContext } from '../saga/context.ts';
import { generate } from './generate.ts';

const ID = 'c0ffee00-0000-4000-8000-000000000001';
const PATH = 'shop/app';

async function aContext(): Promise<StepContext> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-generate-'));
  const store = new LocalSession({ path: join(folder, 'store'), keepVersions: 10 }, Keyring.generate());
  return {
    newVersion: ID,
    rotation: { id: 'rotation' },
    spec: { store: { path: PATH } },
    parts: { store, rotator: randomRotator.open(undefined, randomRotator.credential.parse({})) },
    call: () => aCall(),
    oldCredential: async () => undefined,
    fingerprint: () => Buffer.alloc(32),
  } as unknown as StepContext;
}

test('what a worker that lost the rotation staged meanwhile is the credential of this rotation', async () => {
  const context = await aContext();
  const { store } = context.parts;
  await store.stage(aCall(), PATH, ID, SecretValue.of('{"value":"made by the other worker"}'));
  expect(await generate.perform(context)).toMatchObject({ facts: { version: ID } });
  const staged = await store.read(aCall(), PATH, 'pending');
  expect(staged?.document.reveal()).toBe('{"value":"made by the other worker"}');
});

test('a store that refuses for another reason is heard', async () => {
  const context = await aContext();
  const late = { ...context, call: () => ({ ...aCall(), fence: -1n }) };
  await context.parts.store.stage(
    aCall(),
    PATH,
    'c0ffee00-0000-4000-8000-000000000002',
    SecretValue.of('{}'),
  );
  await expect(generate.perform(late)).rejects.toMatchObject({ code: 'store.fenced' });
});

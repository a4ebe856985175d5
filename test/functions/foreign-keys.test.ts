import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { type Desks, secretDesks } from '../../functions/desks.ts';
import { storeScenarios } from '../conformance/stores-scenarios.ts';
import { freePort } from '../setup/postgres-servers.ts';
import { aForeignStage, type ForeignStage } from './foreign-stage.ts';
import { KEY, KeyFunction } from './key-function.ts';

let keys: KeyFunction;
let desks: Desks;
let stage: ForeignStage;

beforeEach(async () => {
  keys = new KeyFunction();
  const port = await freePort();
  keys.endpoint = `http://127.0.0.1:${port}`;
  desks = secretDesks({ listen: { host: '127.0.0.1', port }, log: silentLog });
  await keys.start();
});
afterEach(async () => {
  await stage.drop();
  await desks.close();
  await keys.close();
});

async function rotate(credential: object, faults?: (point: string) => Promise<void>) {
  const home = await storeScenarios.local?.home();
  if (!home) throw new Error('there is no local store');
  const { url } = keys;
  stage = await aForeignStage({ open: home.open, provider: { http: { url } }, desks });
  const [file, signingKeyFile] = [join(stage.folder, 'first'), join(stage.folder, 'key')];
  await writeFile(file, '{"keyId":"id-first","key":"key-first"}');
  await writeFile(signingKeyFile, JSON.stringify(KEY));
  return stage.rotate(
    {
      rotator: {
        kind: 'function',
        provider: { http: { url }, signingKeyFile },
        credential: { mode: 'new-key', identity: 'keyId', secrets: ['key'], ...credential },
      },
      initialFrom: { file },
    },
    faults,
  );
}

test('a function with a step for it revokes the old key, and the old one is refused in a real attempt', async () => {
  const { rotation, journal, versions } = await rotate({ revokeStep: 'revokeSecret' });
  expect(rotation.state, journal).toBe('done');
  expect(versions).toEqual(['current', 'revoked']);
  expect(journal).toContain('"oldRefused":true');
  const held = await stage.held();
  expect([...keys.valid]).toEqual([[held.keyId, held.key]]);
});

test('without one the old key is left, and nobody calls it revoked', async () => {
  const { rotation, journal, versions } = await rotate({});
  expect(rotation.state, journal).toBe('done');
  expect(versions).toEqual(['current', 'previous']);
  expect(journal).toContain('"oldRefused":false');
  expect(keys.valid.size).toBe(2);
});

test('of several workers a function calls the one that invoked it, at the address that came with the event', async () => {
  desks = secretDesks({ listen: { host: '127.0.0.1', port: 0 }, log: silentLog });
  keys.endpoint = undefined;
  const { rotation, journal } = await rotate({ revokeStep: 'revokeSecret' });
  expect(rotation.state, journal).toBe('done');
});

/** At a point of the rotation the old key leaks. */
const leaksAt = (where: string, then?: () => void) => async (point: string) => {
  if (point !== where) return;
  await stage.leak();
  then?.();
};

test('that the old key, which nobody revoked, fails when it is tried proves nothing', async () => {
  const { rotation, journal, versions } = await rotate({}, async (point) => {
    if (point === 'forward:prove:announced') keys.valid.delete('id-first');
  });
  expect(rotation.state, journal).toBe('done');
  expect(versions).toEqual(['current', 'previous']);
  expect(journal).not.toContain('"oldRefused":true');
});

test('a leaked key that no step revokes is dead on the word of a person, who is named', async () => {
  const asked = await rotate({}, leaksAt('forward:settle:announced'));
  expect(asked.rotation, asked.journal).toMatchObject({
    state: 'needs-human',
    error: { code: 'rotation.needs-human', what: expect.stringContaining('still accepted') },
  });
  const { id } = asked.rotation;
  // What goes on by itself confirms nothing, and a key that is seen to work is not dead whoever says so.
  expect((await stage.resume(id, 'incident/1', true)).rotation.state).toBe('needs-human');
  expect((await stage.resume(id, 'token/hasty')).rotation.state).toBe('needs-human');
  keys.valid.delete('id-first');
  const { rotation, journal, versions } = await stage.resume(id, 'token/anna');
  expect(rotation.state, journal).toBe('done');
  expect(journal).toContain('confirmed by token/anna: refused when it was tried once');
  expect(versions).toEqual(['current', 'discarded']);
});

test('the only key that works is not thrown away when the one before it has leaked', async () => {
  keys.inPlace = true;
  const asked = await rotate(
    { mode: 'single-user', acknowledgeNoOverlap: true },
    leaksAt('forward:install:performed', () => {
      keys.troubled = 401;
    }),
  );
  expect(asked.rotation.state, asked.journal).toBe('needs-human');
  const { rotation, journal, versions } = await stage.resume(asked.rotation.id, 'token/anna');
  expect(rotation.state, journal).toBe('done');
  expect(versions).toEqual(['current', 'revoked']);
  expect([...keys.valid]).toEqual([['id-first', (await stage.held()).key]]);
});

test('what a function says goes no further when it holds the key', async () => {
  keys.valid.clear();
  keys.indiscreet = true;
  const { rotation, journal } = await rotate({});
  expect(rotation, journal).toMatchObject({
    state: 'rolled-back',
    error: { code: 'provider.refused-credential' },
  });
  expect(rotation.error?.what).toContain('what it said holds a secret and is left out');
  expect(JSON.stringify(rotation.error) + journal).not.toContain('key-first');
});

import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { type Desks, secretDesks } from '../../functions/desks.ts';
import { storeScenarios } from '../conformance/stores-scenarios.ts';
import { freePort } from '../setup/postgres-servers.ts';
import { aForeignStage, type ForeignStage } from './foreign-stage.ts';

/**
 * A provider that issues keys, and the function that rotates them: createSecret asks for a new one, testSecret shows it, and
 * revokeSecret, a step of its own, takes one back.
 */
const KEY = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'what-the-function-elsewhere-signs-with',
};
const valid = new Map<string, string>();
/** Says in its errors what it shouldn't. */
let indiscreet = false;
/** Has one user only, whose key it replaces in place; it logs in with the pending or the current one. */
let inPlace = false;
/** Status of the answer to the next testSecret, before anything is tried. */
let troubled: number | undefined;
let server: Server;
let desks: Desks;
let stage: ForeignStage;
let endpoint: string;
/** Calls the address that it is told instead of one that it knows. */
let listens = false;

/** @param told address of the API of whoever invoked */
async function work(
  { Step, SecretId, ClientRequestToken }: Record<string, string>,
  told: string | undefined,
): Promise<void> {
  const api = new SecretsManagerClient({
    endpoint: (listens ? told : endpoint) ?? 'http://nobody.invalid',
    region: 'us-east-1',
    credentials: { ...KEY },
    maxAttempts: 1,
  });
  const read = async (stageName: string) => {
    const { SecretString = '{}', VersionId } = await api.send(
      new GetSecretValueCommand({ SecretId, VersionStage: stageName }),
    );
    return { document: JSON.parse(SecretString) as { keyId: string; key: string }, VersionId };
  };
  switch (Step) {
    case 'createSecret': {
      const put = await read('AWSPENDING').catch(() => undefined);
      if (put) return;
      const made = { keyId: inPlace ? 'id-first' : `id-${randomUUID()}`, key: `key-${randomUUID()}` };
      if (!inPlace) valid.set(made.keyId, made.key);
      const SecretString = JSON.stringify(made);
      const asked = { SecretId, ClientRequestToken, SecretString, VersionStages: ['AWSPENDING'] };
      await api.send(new PutSecretValueCommand(asked));
      return;
    }
    case 'setSecret': {
      if (!inPlace) return;
      const [pending, current] = [(await read('AWSPENDING')).document, (await read('AWSCURRENT')).document];
      if (![pending.key, current.key].includes(valid.get(pending.keyId) ?? ''))
        throw new Error('nothing logs in');
      valid.set(pending.keyId, pending.key);
      return;
    }
    case 'testSecret': {
      const { document } = await read('AWSPENDING');
      if (valid.get(document.keyId) === document.key) return;
      throw new Error(indiscreet ? `the provider refuses ${document.key}` : 'the provider refuses it');
    }
    case 'finishSecret': {
      const { VersionId } = await read('AWSCURRENT');
      const moved = { VersionStage: 'AWSCURRENT', MoveToVersionId: ClientRequestToken };
      await api.send(
        new UpdateSecretVersionStageCommand({ SecretId, ...moved, RemoveFromVersionId: VersionId }),
      );
      return;
    }
    case 'revokeSecret':
      valid.delete((await read('AWSPENDING')).document.keyId);
  }
}

beforeEach(async () => {
  valid.clear();
  valid.set('id-first', 'key-first');
  indiscreet = inPlace = listens = false;
  troubled = undefined;
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  desks = secretDesks({ listen: { host: '127.0.0.1', port }, log: silentLog });
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const event = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (event.Step === 'testSecret' && troubled !== undefined) {
      response.writeHead(troubled).end();
      troubled = undefined;
      return;
    }
    const told = request.headers['rotor-secrets-manager-endpoint'];
    await work(event, Array.isArray(told) ? told[0] : told).then(
      () => response.writeHead(200).end(),
      ({ name, message }: Error) =>
        response.writeHead(500).end(JSON.stringify({ errorType: name, errorMessage: message })),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await stage.drop();
  await desks.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function rotate(credential: object, faults?: (point: string) => Promise<void>) {
  const home = await storeScenarios.local?.home();
  if (!home) throw new Error('there is no local store');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
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
  expect([...valid]).toEqual([[held.keyId, held.key]]);
});

test('without one the old key is left, and nobody calls it revoked', async () => {
  const { rotation, journal, versions } = await rotate({});
  expect(rotation.state, journal).toBe('done');
  expect(versions).toEqual(['current', 'previous']);
  expect(journal).toContain('"oldRefused":false');
  expect(valid.size).toBe(2);
});

test('of several workers a function calls the one that invoked it, at the address that came with the event', async () => {
  desks = secretDesks({ listen: { host: '127.0.0.1', port: 0 }, log: silentLog });
  endpoint = 'http://127.0.0.1:1';
  listens = true;
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
    if (point === 'forward:prove:announced') valid.delete('id-first');
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
  valid.delete('id-first');
  const { rotation, journal, versions } = await stage.resume(id, 'token/anna');
  expect(rotation.state, journal).toBe('done');
  expect(journal).toContain('confirmed by token/anna: refused when it was tried once');
  expect(versions).toEqual(['current', 'discarded']);
});

test('the only key that works is not thrown away when the one before it has leaked', async () => {
  inPlace = true;
  const asked = await rotate(
    { mode: 'single-user', acknowledgeNoOverlap: true },
    leaksAt('forward:install:performed', () => {
      troubled = 401;
    }),
  );
  expect(asked.rotation.state, asked.journal).toBe('needs-human');
  const { rotation, journal, versions } = await stage.resume(asked.rotation.id, 'token/anna');
  expect(rotation.state, journal).toBe('done');
  expect(versions).toEqual(['current', 'revoked']);
  expect([...valid]).toEqual([['id-first', (await stage.held()).key]]);
});

test('what a function says goes no further when it holds the key', async () => {
  valid.clear();
  indiscreet = true;
  const { rotation, journal } = await rotate({});
  expect(rotation, journal).toMatchObject({
    state: 'rolled-back',
    error: { code: 'provider.refused-credential' },
  });
  expect(rotation.error?.what).toContain('what it said holds a secret and is left out');
  expect(JSON.stringify(rotation.error) + journal).not.toContain('key-first');
});

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
let server: Server;
let desks: Desks;
let stage: ForeignStage;
let endpoint: string;

async function work({ Step, SecretId, ClientRequestToken }: Record<string, string>): Promise<void> {
  const api = new SecretsManagerClient({
    endpoint,
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
      const made = { keyId: `id-${randomUUID()}`, key: `key-${randomUUID()}` };
      valid.set(made.keyId, made.key);
      const SecretString = JSON.stringify(made);
      const asked = { SecretId, ClientRequestToken, SecretString, VersionStages: ['AWSPENDING'] };
      await api.send(new PutSecretValueCommand(asked));
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
  indiscreet = false;
  const port = await freePort();
  endpoint = `http://127.0.0.1:${port}`;
  desks = secretDesks({ listen: { host: '127.0.0.1', port }, log: silentLog });
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    await work(JSON.parse(Buffer.concat(chunks).toString('utf8'))).then(
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

async function rotate(credential: object) {
  const home = await storeScenarios.local?.home();
  if (!home) throw new Error('there is no local store');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  stage = await aForeignStage({ open: home.open, provider: { http: { url } }, desks });
  const [file, signingKeyFile] = [join(stage.folder, 'first'), join(stage.folder, 'key')];
  await writeFile(file, '{"keyId":"id-first","key":"key-first"}');
  await writeFile(signingKeyFile, JSON.stringify(KEY));
  return stage.rotate({
    rotator: {
      kind: 'function',
      provider: { http: { url }, signingKeyFile },
      credential: { mode: 'new-key', identity: 'keyId', secrets: ['key'], ...credential },
    },
    initialFrom: { file },
  });
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

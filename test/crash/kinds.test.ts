import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { rotators } from '../../rotators/registry.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { type ServedFunction, servedFunction } from '../functions/served-function.ts';
import { sampled } from '../setup/matrix.ts';
import { noVault, stopTestVault } from '../setup/vault.ts';
import { aStaticRole } from '../setup/vault-database.ts';
import { type Stage, setStage } from './stage.ts';

type Changes = Partial<RotationSpec>;
type Mode = (stage: Stage, served: ServedFunction) => Changes | Promise<Changes>;

/** Every kind and mode beside alternating users, which has the whole matrix of its own (crash-matrix.test.ts). */
const KINDS: Readonly<Record<string, Readonly<Record<string, Mode>>>> = {
  postgres: {
    'single-user': ({ app, spec }) => ({
      rotator: {
        ...spec.rotator,
        credential: { mode: 'single-user', role: app.roles[0], acknowledgeNoOverlap: true },
      },
    }),
    'single-user without admin': ({ app, spec }) => ({
      rotator: {
        kind: 'postgres',
        provider: app.provider({ admin: undefined }),
        credential: { mode: 'single-user', role: app.roles[0], acknowledgeNoOverlap: true },
      },
      settle: spec.settle,
    }),
  },
  function: {
    'single-user': (stage, served) => foreign(stage, served, 'single-user'),
    'alternating-users': (stage, served) => foreign(stage, served, 'alternating-users'),
  },
  random: {
    value: () => ({
      rotator: { kind: 'random', credential: {} },
      initialFrom: undefined,
      deliver: [],
      consumers: [],
    }),
  },
  vaultDatabase: {
    'static role': async ({ app, spec, client, deliveredFile }) => {
      const { provider, credential, held } = await aStaticRole(app);
      // Taking the role on, Vault has set a password.
      const { password } = await held();
      for (const file of [spec.initialFrom?.file ?? '', deliveredFile]) {
        const document = JSON.parse(await readFile(file, 'utf8'));
        await writeFile(file, JSON.stringify({ ...document, password }));
      }
      await fetch(`${client.url}/reload`, { method: 'POST' });
      return { rotator: { kind: 'vaultDatabase', provider, credential } };
    },
  },
};

const MISSING: Readonly<Record<string, string | undefined>> = { vaultDatabase: noVault };

/** A rotation function elsewhere, which reaches the API of whichever worker lives. */
async function foreign(
  { app, spec }: Stage,
  { url, keyFile }: ServedFunction,
  mode: 'single-user' | 'alternating-users',
): Promise<Changes> {
  const place = { engine: 'postgres', host: '127.0.0.1', port: app.port, dbname: app.name };
  const initial = { ...place, ...app.initial, ...(mode === 'single-user' ? {} : { masterarn: 'arn:admin' }) };
  const [file, adminSecretFile] = [join(app.folder, 'foreign'), join(app.folder, 'admin-secret')];
  await writeFile(file, JSON.stringify(initial));
  await writeFile(
    adminSecretFile,
    JSON.stringify({ ...place, username: app.admin, password: 'admin-password' }),
  );
  return {
    rotator: {
      kind: 'function',
      provider: { http: { url }, signingKeyFile: keyFile, adminSecretFile, timeout: '10s' },
      credential: mode === 'single-user' ? { mode, acknowledgeNoOverlap: true } : { mode },
    },
    initialFrom: { file },
    settle: { ...spec.settle, evidence: 'time-only' },
  };
}

const POINTS = sampled(
  [
    'generate:performed',
    'install:announced',
    'install:performed',
    'publish:performed',
    'deliver:performed',
    'revoke:performed',
    'prove:performed',
  ],
  2,
);

let stage: Stage | undefined;
let served: ServedFunction | undefined;
afterEach(async () => {
  await stage?.stop();
  await served?.stop();
  stage = undefined;
  served = undefined;
});
afterAll(stopTestVault);

test('every registered rotator is in the crash matrix', () => {
  expect(Object.keys(KINDS).sort()).toEqual(rotators.map(({ kind }) => kind).sort());
});

for (const [kind, modes] of Object.entries(KINDS)) {
  for (const [mode, changes] of Object.entries(modes)) {
    test.skipIf(MISSING[kind])(
      `${kind}, ${mode}: killed again and again, it ends done and proven`,
      {
        timeout: 90_000,
      },
      async () => {
        served = kind === 'function' ? await servedFunction() : undefined;
        stage = await setStage((ledgerUrl) => ledgerUrl, { functionsPort: served?.desksPort ?? 0 });
        const id = await stage.startRotation(await changes(stage, served as ServedFunction));
        for (const point of POINTS) {
          const worker = await stage.startWorker({ point: `forward:${point}`, signal: 'SIGKILL' });
          expect(await worker.exited, `${point}\n${worker.output()}\n${await stage.journal(id)}`).toBe(
            'SIGKILL',
          );
        }
        await stage.startWorker();
        const rotation = await stage.ended(id);
        const told = await stage.journal(id);
        expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
        if (kind !== 'random') {
          expect(stage.client.held(), told).toMatchObject({
            username: `${stage.app.roles[0]}${mode === 'alternating-users' ? '_clone' : ''}`,
            versionId: rotation.newVersion,
          });
          expect(await stage.storedPassword(), told).toBe(stage.client.held().password);
          if (mode === 'alternating-users') expect(stage.client.refusals, told).toEqual([]);
          expect(told).toContain('"oldRefused": true'.replace(' ', ''));
        }
      },
    );
  }
}

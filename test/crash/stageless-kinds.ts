import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { theSealingKey } from '../conformance/stores-sealed-secrets-home.ts';
import { secretFile } from '../conformance/stores-stageless-home.ts';
import { ConfidantDouble } from '../doubles/confidant.ts';
import { ConjurDouble } from '../doubles/conjur.ts';
import type { Disturb } from '../doubles/http-double.ts';
import { aRepository, unsealed } from '../setup/sealed-secrets.ts';

/** A store without stages, and what its consumers read. */
export interface StagelessTarget {
  readonly store: RotationSpec['store'];
  /** What others put there can't be read. */
  readonly unreadable?: true;
  disturb(disturb: Disturb): void;
  put(document: string): Promise<void>;
  current(): Promise<string>;
  stop(): Promise<void>;
}

export async function inConjur(conjur: ConjurDouble): Promise<RotationSpec['store']> {
  const auth = { apiKey: { login: conjur.login, from: { file: await secretFile(conjur.apiKey) } } };
  return { kind: 'conjur', spec: { url: conjur.url, account: conjur.account, auth }, path: 'shop/app' };
}

/** Every registered store without stages, by its kind. */
export const STAGELESS: Readonly<Record<string, () => Promise<StagelessTarget>>> = {
  confidant: async () => {
    const double = await new ConfidantDouble('kms-token').listen();
    const auth = { token: { username: double.username, from: { file: await secretFile(double.token) } } };
    return {
      store: { kind: 'confidant', spec: { url: double.url, auth }, path: 'shop/app' },
      disturb: (disturb) => {
        double.disturb = disturb;
      },
      put: async (document) => void double.put('shop/app', JSON.parse(document)),
      current: async () => JSON.stringify(double.find('shop/app')?.credential_pairs),
      stop: () => double.stop(),
    };
  },
  conjur: async () => {
    const double = await new ConjurDouble('api-key').declare('shop/app').listen();
    return {
      store: await inConjur(double),
      disturb: (disturb) => {
        double.disturb = disturb;
      },
      put: async (document) => void double.variables.set('shop/app', [document]),
      current: async () => double.value('shop/app') ?? '',
      stop: () => double.stop(),
    };
  },
  sealedSecrets: async () => {
    const [repository, key] = await Promise.all([aRepository(), theSealingKey()]);
    const gate = await aPushGate(repository.path);
    return {
      store: {
        kind: 'sealedSecrets',
        spec: { certificate: { file: key.certificate }, git: { url: repository.url, branch: 'main' } },
        path: 'shop/app',
      },
      // Nobody can read what others have sealed, so a policy names the credential that is in use.
      unreadable: true,
      disturb: gate.disturb,
      put: async () => undefined,
      current: async () =>
        JSON.stringify(await unsealed((await repository.file('shop/app.yaml')) ?? '', key, 'shop/app')),
      stop: async () => {
        await gate.close();
        await repository.remove();
      },
    };
  },
};

/** Tells of every push before and after a repository takes it, by its hooks; a push that is cut is not taken. */
async function aPushGate(repository: string) {
  let disturbs: Disturb = async () => undefined;
  const server = createServer(async ({ url = '' }, response) => {
    const when = url === '/before' ? 'before' : 'after';
    const request = { method: 'PUSH', path: '/', query: new URLSearchParams(), headers: {}, body: '' };
    response.end((await disturbs(when, request)) ?? 'on');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  for (const [hook, when] of [
    ['pre-receive', 'before'],
    ['post-receive', 'after'],
  ]) {
    const ask = `fetch('http://127.0.0.1:${port}/${when}').then(async (answer) => process.exit((await answer.text()) === 'cut' ? 1 : 0))`;
    const script = `#!/bin/sh\nexec ${process.execPath} -e "${ask}"\n`;
    await writeFile(join(repository, 'hooks', hook ?? ''), script, { mode: 0o755 });
  }
  return {
    disturb: (disturb: Disturb) => {
      disturbs = disturb;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

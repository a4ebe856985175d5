import type { RotationSpec } from '../../workers/saga/spec.ts';
import { secretFile } from '../conformance/stores-stageless-home.ts';
import { ConfidantDouble } from '../doubles/confidant.ts';
import { ConjurDouble } from '../doubles/conjur.ts';
import type { Disturb } from '../doubles/http-double.ts';

/** A store without stages, and what its consumers read. */
export interface StagelessTarget {
  readonly store: RotationSpec['store'];
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
};

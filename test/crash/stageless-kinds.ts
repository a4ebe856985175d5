import type { RotationSpec } from '../../workers/saga/spec.ts';
import { secretFile } from '../conformance/stores-stageless-home.ts';
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

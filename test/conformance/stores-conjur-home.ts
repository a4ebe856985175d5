import { conjurStore } from '../../stores/conjur/store.ts';
import { ConjurDouble } from '../doubles/conjur.ts';
import type { StoreScenario } from './stores-scenarios.ts';
import { onShelf, secretFile, stagedHere, stopShelf } from './stores-stageless-home.ts';

const doubles: ConjurDouble[] = [];

/** A double of Conjur, and what a Store manifest says of it. */
export async function aConjur() {
  const conjur = await new ConjurDouble('api-key-of-the-double').listen();
  doubles.push(conjur);
  const auth = { apiKey: { login: conjur.login, from: { file: await secretFile(conjur.apiKey) } } };
  return { conjur, spec: { url: conjur.url, account: conjur.account, auth } };
}

export const conjurScenario: StoreScenario = {
  server: 'double: Conjur',
  skipped: '',
  home: async () => {
    const { conjur, spec } = await aConjur();
    conjur.declaresAll = true;
    const store = await stagedHere(conjurStore);
    return { open: () => store.open(store.spec.parse(spec)), atRest: onShelf };
  },
  stop: async () => {
    await stopShelf();
    for (const double of doubles.splice(0)) await double.stop();
  },
};

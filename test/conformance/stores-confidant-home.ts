import { confidantStore } from '../../stores/confidant/store.ts';
import { ConfidantDouble } from '../doubles/confidant.ts';
import type { StoreScenario } from './stores-scenarios.ts';
import { onShelf, secretFile, stagedHere, stopShelf } from './stores-stageless-home.ts';

const doubles: ConfidantDouble[] = [];

export const confidantScenario: StoreScenario = {
  server: 'double: Confidant',
  skipped: '',
  home: async () => {
    const confidant = await new ConfidantDouble('kms-token').listen();
    doubles.push(confidant);
    const auth = {
      token: { username: confidant.username, from: { file: await secretFile(confidant.token) } },
    };
    const store = await stagedHere(confidantStore);
    const spec = store.spec.parse({ url: confidant.url, create: true, auth });
    return { open: () => store.open(spec), atRest: onShelf };
  },
  stop: async () => {
    await stopShelf();
    for (const double of doubles.splice(0)) await double.stop();
  },
};

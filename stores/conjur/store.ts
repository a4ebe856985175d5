import { plainAddress } from '../plain-address.ts';
import type { StagelessStore } from '../stageless.ts';
import { ConjurSession } from './session.ts';
import { type ConjurSpec, conjurSpec } from './spec.ts';

/** The current version in a variable of CyberArk Conjur; the others in the ledger. */
export const conjurStore: StagelessStore<ConjurSpec> = {
  kind: 'conjur',
  spec: conjurSpec,
  home: ({ url, account }) => `${plainAddress(url)} ${account}`,
  place: ({ prefix }, path) => `${prefix}${path}`,
  openStageless: (spec) => new ConjurSession(spec),
};

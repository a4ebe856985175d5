import { plainAddress } from '../plain-address.ts';
import type { StagelessStore } from '../stageless.ts';
import { ConfidantSession, nameOf } from './session.ts';
import { type ConfidantSpec, confidantSpec } from './spec.ts';

/** The current version in a credential of Lyft's Confidant; the others in the ledger. */
export const confidantStore: StagelessStore<ConfidantSpec> = {
  kind: 'confidant',
  spec: confidantSpec,
  // DynamoDB keeps items of 400 kB, encrypted and in base64.
  limits: { maxBytes: 200_000 },
  home: ({ url }) => plainAddress(url),
  place: nameOf,
  openStageless: (spec) => new ConfidantSession(spec),
};

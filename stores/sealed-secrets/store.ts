import type { StagelessStore } from '../stageless.ts';
import { targetOf } from './manifest.ts';
import { type Sealed, SealedSecretsSession } from './session.ts';
import { type SealedSecretsSpec, sealedSecretsSpec } from './spec.ts';

/** The current version in a SealedSecret manifest, in Git or a folder; readable versions in the ledger. */
export const sealedSecretsStore: StagelessStore<SealedSecretsSpec, Sealed> = {
  kind: 'sealedSecrets',
  spec: sealedSecretsSpec,
  renews: true,
  // A Secret has 1 MiB at most, and sealed values are base64.
  limits: { maxBytes: 500_000 },
  home: ({ git, folder, path }) => `${git ? `${git.url} ${git.branch}` : folder} ${path ?? ''}`,
  place: (spec, path) => {
    const { namespace, name } = targetOf(spec, path);
    return `${namespace}/${name}`;
  },
  openStageless: (spec) => new SealedSecretsSession(spec),
};

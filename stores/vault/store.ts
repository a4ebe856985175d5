import type { Store } from '../store.ts';
import { VaultSession } from './session.ts';
import { type VaultSpec, vaultSpec } from './spec.ts';

/** Versions in HashiCorp Vault or OpenBao: the KV secrets engine, version 2. */
export const vaultStore: Store<VaultSpec> = {
  kind: 'vault',
  spec: vaultSpec,
  open: (spec) => new VaultSession(spec),
};

import { RecordedSession } from '../recorded/session.ts';
import type { Store } from '../store.ts';
import { VaultShelf } from './shelf.ts';
import { type VaultSpec, vaultSpec } from './spec.ts';

/** Versions in HashiCorp Vault or OpenBao: the KV secrets engine, version 2. */
export const vaultStore: Store<VaultSpec> = {
  kind: 'vault',
  spec: vaultSpec,
  open: (spec) => new RecordedSession(new VaultShelf(spec)),
};

import { z } from 'zod';
import { mountPath, vaultServer } from '../../core/vault/server.ts';

/** `spec.vault` of a Store manifest: HashiCorp Vault or OpenBao, KV version 2. */
export const vaultSpec = z.strictObject({
  ...vaultServer,
  /** Where the KV version 2 engine is mounted. */
  mount: mountPath.default('secret'),
  /** Folder of the same mount for versions that consumers mustn't read yet, or no longer. */
  versionsPath: mountPath.default('rotor'),
  /** How many versions without a stage are kept per path, the newest; older ones are destroyed. */
  keepVersions: z.int().min(0).max(100).default(10),
});

export type VaultSpec = z.infer<typeof vaultSpec>;

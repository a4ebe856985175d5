import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { makeCertificates } from '../../sandbox/api/certificates.ts';
import { ManagedIdentityDouble } from '../doubles/azure/identity.ts';
import { KeyVaultDouble } from '../doubles/azure/key-vault.ts';

export interface TestKeyVault {
  readonly vault: KeyVaultDouble;
  readonly identity: ManagedIdentityDouble;
  stop(): Promise<void>;
}

/** A double of a vault, and of the identity that may use it, for this process and those that it starts. */
export async function startKeyVault(): Promise<TestKeyVault> {
  const { caCertificate: ca, certificate: cert, key } = await makeCertificates();
  const file = join(await mkdtemp(join(tmpdir(), 'rotor-azure-')), 'ca.pem');
  await writeFile(file, ca);
  setDefaultCACertificates([...getCACertificates('default'), ca]);
  const vault = await new KeyVaultDouble({ key, cert }).listen();
  const identity = await new ManagedIdentityDouble().listen();
  Object.assign(process.env, identity.environment(), { NODE_EXTRA_CA_CERTS: file });
  return {
    vault,
    identity,
    stop: async () => {
      await vault.stop();
      await identity.stop();
    },
  };
}

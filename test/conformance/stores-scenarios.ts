import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keyring } from '../../core/seal-keyring.ts';
import type { StoreSession } from '../../stores/store.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';
import { stopTestVault, testVault, VAULTS, type VaultName } from '../setup/vault.ts';
import { azureScenario } from './stores-azure-scenario.ts';
import { confidantScenario } from './stores-confidant-home.ts';
import { conjurScenario } from './stores-conjur-home.ts';
import { googleScenario } from './stores-google-scenario.ts';
import { kubernetesScenario } from './stores-kubernetes-scenario.ts';
import { sealedSecretsScenario } from './stores-sealed-secrets-home.ts';

/** What the kit needs of a store: sessions on one fresh, empty home, and where to look for plaintext. */
export interface StoreHome {
  /** Opens another session on the same home, as another worker would. */
  open(): StoreSession;
  /** Every byte that the home keeps at rest, for the search for plaintext; undefined when others keep it. */
  atRest?(): Promise<readonly Buffer[]>;
}

export interface StoreScenario {
  /** What the store ran against: `real`, `emulator: ...` or `double: ...`. */
  readonly server: string;
  /** Why it can't run here, ready to be put behind a title; '' when it can. */
  readonly skipped: string;
  home(): Promise<StoreHome>;
  /** Ends what `home` started. */
  stop?(): Promise<void>;
  /** The same store at other servers. */
  readonly also?: readonly StoreScenario[];
}

export const keyring = Keyring.generate();

let moto: Promise<Moto> | undefined;

/** One moto for all scenarios of this process; homes are told apart by their prefix. */
async function emulatedAws(): Promise<void> {
  moto ??= startMoto();
  Object.assign(process.env, awsEnvironment((await moto).url));
}

async function stopMoto(): Promise<void> {
  const started = moto;
  moto = undefined;
  await (await started)?.stop();
}

/** One entry per registered store, by its kind. A store without one fails the suite. */
export const storeScenarios: Readonly<Record<string, StoreScenario>> = {
  local: {
    server: 'real: a folder',
    skipped: '',
    home: async () => {
      const { localStore } = await import('../../stores/local/store.ts');
      const folder = join(await mkdtemp(join(tmpdir(), 'rotor-store-')), 'store');
      const store = localStore(keyring);
      const spec = store.spec.parse({ path: folder });
      return { open: () => store.open(spec), atRest: () => everyByteIn(folder) };
    },
  },
  awsSecretsManager: {
    server: 'emulator: moto',
    skipped: findMoto().skipped,
    home: async () => {
      await emulatedAws();
      const { awsSecretsManagerStore } = await import('../../stores/aws-secrets-manager/store.ts');
      const store = awsSecretsManagerStore();
      const spec = store.spec.parse({ prefix: `${randomUUID()}/`, create: true });
      return { open: () => store.open(spec) };
    },
    stop: stopMoto,
  },
  vault: { ...inVault('Vault'), also: [inVault('OpenBao')] },
  azureKeyVault: azureScenario,
  gcpSecretManager: googleScenario,
  confidant: confidantScenario,
  conjur: conjurScenario,
  sealedSecrets: sealedSecretsScenario,
  kubernetes: kubernetesScenario,
  awsParameterStore: {
    server: 'emulator: moto',
    skipped: findMoto().skipped,
    home: async () => {
      await emulatedAws();
      const { awsParameterStore } = await import('../../stores/aws-parameter-store/store.ts');
      const store = awsParameterStore();
      const spec = store.spec.parse({ prefix: `/${randomUUID()}/`, create: true, tier: 'Advanced' });
      return { open: () => store.open(spec) };
    },
    stop: stopMoto,
  },
};

/** Names and contents of all files below `folder`. */
export async function everyByteIn(folder: string): Promise<readonly Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const contents = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name))));
  return [...contents, ...files.map((file) => Buffer.from(join(file.parentPath, file.name)))];
}

function inVault(name: VaultName): StoreScenario {
  const missing = VAULTS.find((each) => each.name === name)?.missing;
  return {
    server: `real: ${name}`,
    skipped: missing ? ` (${missing})` : '',
    home: async () => {
      const { vaultStore } = await import('../../stores/vault/store.ts');
      const vault = await testVault(name);
      const file = join(await mkdtemp(join(tmpdir(), 'rotor-vault-')), 'token');
      await writeFile(file, vault.token, { mode: 0o600 });
      const auth = { token: { file } };
      const spec = vaultStore.spec.parse({ address: vault.address, mount: await vault.mount(), auth });
      return { open: () => vaultStore.open(spec) };
    },
    stop: async () => stopTestVault(),
  };
}

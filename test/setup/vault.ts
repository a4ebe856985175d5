import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './postgres-servers.ts';

/** A real Vault or OpenBao, with the rights of its root token. */
export interface TestVault {
  readonly address: string;
  readonly token: string;
  /** `POST`, `PUT` ... below `/v1/`; throws unless Vault says that it is done. */
  call(method: string, path: string, body?: object, token?: string): Promise<VaultAnswer>;
  /** A mount of the KV engine of its own. */
  mount(version?: 1 | 2): Promise<string>;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of any shape
export type VaultAnswer = any;

/** Why there is no Vault to test with; undefined when there is one. */
export const noVault =
  process.env.ROTOR_TEST_VAULT || process.env.ROTOR_TEST_VAULT_ADDR
    ? undefined
    : 'needs Vault: ROTOR_TEST_VAULT="$(scripts/vault.sh)" builds and names one, or ROTOR_TEST_VAULT_ADDR and ROTOR_TEST_VAULT_TOKEN of a running one';

/** Servers that speak Vault's API, each with the reason why there is none to test with. */
export const VAULTS = [
  { name: 'Vault', missing: noVault },
  {
    name: 'OpenBao',
    missing: process.env.ROTOR_TEST_OPENBAO
      ? undefined
      : 'needs OpenBao: ROTOR_TEST_OPENBAO="$(scripts/openbao.sh)" fetches and names one',
  },
] as const;
export type VaultName = (typeof VAULTS)[number]['name'];

const started = new Map<VaultName, Promise<TestVault>>();
const children: ChildProcess[] = [];

/** The Vault of this file of tests: a fresh one in memory, or the one that `ROTOR_TEST_VAULT_ADDR` names. */
export function testVault(name: VaultName = 'Vault'): Promise<TestVault> {
  const running = started.get(name) ?? start(name);
  started.set(name, running);
  return running;
}

/** For `afterAll` of every file that used it. */
export function stopTestVault(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  started.clear();
}

async function start(name: VaultName): Promise<TestVault> {
  const { address, token } = name === 'Vault' ? await vaultItself() : await launchOpenBao();
  const call: TestVault['call'] = async (method, path, body, as = token) => {
    const answer = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': as, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`Vault answers ${answer.status} to ${method} ${path}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    address,
    token,
    call,
    mount: async (version = 2) => {
      const name = `kv-${randomBytes(5).toString('hex')}`;
      await call('POST', `sys/mounts/${name}`, { type: 'kv', options: { version: String(version) } });
      return name;
    },
  };
}

async function vaultItself(): Promise<{ address: string; token: string }> {
  const { ROTOR_TEST_VAULT, ROTOR_TEST_VAULT_ADDR, ROTOR_TEST_VAULT_TOKEN } = process.env;
  if (ROTOR_TEST_VAULT_ADDR) return { address: ROTOR_TEST_VAULT_ADDR, token: ROTOR_TEST_VAULT_TOKEN ?? '' };
  return launch(ROTOR_TEST_VAULT ?? '');
}

async function launch(program: string): Promise<{ address: string; token: string }> {
  const vault = spawn(program, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(vault);
  const lines = createInterface({ input: vault.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(vault, 'exit').then(() => {
      throw new Error(`${program} ended before it listened`);
    }),
  ])) as [string];
  return JSON.parse(line);
}

/** OpenBao's own server, in memory and unsealed (`-dev`). It doesn't tell which port it took, so it is given one. */
async function launchOpenBao(): Promise<{ address: string; token: string }> {
  const program = process.env.ROTOR_TEST_OPENBAO ?? '';
  const token = randomBytes(16).toString('hex');
  const place = `127.0.0.1:${await freePort()}`;
  const options = [`-dev-listen-address=${place}`, `-dev-root-token-id=${token}`, '-dev-no-store-token'];
  const bao = spawn(program, ['server', '-dev', ...options], { stdio: 'ignore' });
  children.push(bao);
  const address = `http://${place}`;
  for (;;) {
    if (bao.exitCode !== null) throw new Error(`${program} ended before it listened`);
    const health = await fetch(`${address}/v1/sys/health`).catch(() => undefined);
    if (health?.status === 200) return { address, token };
    await setTimeout(50);
  }
}

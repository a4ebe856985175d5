import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

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

let started: Promise<TestVault> | undefined;
let child: ChildProcess | undefined;

/** The Vault of this file of tests: a fresh one in memory, or the one that `ROTOR_TEST_VAULT_ADDR` names. */
export function testVault(): Promise<TestVault> {
  started ??= start();
  return started;
}

/** For `afterAll` of every file that used it. */
export function stopTestVault(): void {
  child?.kill('SIGKILL');
  started = undefined;
}

async function start(): Promise<TestVault> {
  const { ROTOR_TEST_VAULT: program, ROTOR_TEST_VAULT_ADDR: given } = process.env;
  const { address, token } = given
    ? { address: given, token: process.env.ROTOR_TEST_VAULT_TOKEN ?? '' }
    : await launch(program ?? '');
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

async function launch(program: string): Promise<{ address: string; token: string }> {
  const vault = spawn(program, { stdio: ['ignore', 'pipe', 'ignore'] });
  child = vault;
  const lines = createInterface({ input: vault.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(vault, 'exit').then(() => {
      throw new Error(`${program} ended before it listened`);
    }),
  ])) as [string];
  return JSON.parse(line);
}

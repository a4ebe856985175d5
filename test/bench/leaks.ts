import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import { encodeCredential } from '../../core/credential.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { timed } from './empty-saga.ts';

/** A login role with a password that works, and the policy that keeps it. */
export interface Leak {
  readonly policyUid: string;
  readonly role: string;
  readonly secret: string;
}

const ADMIN = { user: 'bench_admin', password: 'admin-password' };

/** Policies with a credential that works: a login role of their own at the database. */
export async function makeLeaks(
  { ledger, registries, fingerprintKey, localStore }: Orchestrator,
  url: string,
  folder: string,
  count: number,
): Promise<Leak[]> {
  const client = await connect(url);
  const { host, port, database } = client;
  const adminFile = join(folder, 'bench-admin');
  await writeFile(adminFile, `${ADMIN.password}\n`, { mode: 0o600 });
  await client.query(`CREATE ROLE ${ADMIN.user} LOGIN SUPERUSER PASSWORD '${ADMIN.password}'`);
  await client.query(`CREATE ROLE bench_owner NOLOGIN`);
  const postgres = {
    hosts: [{ host, port }],
    database,
    admin: { username: ADMIN.user, passwordFrom: { file: adminFile } },
  };
  const provider = { kind: 'postgres', spec: postgres };
  await ledger.query(
    `INSERT INTO rotor.resources (kind, namespace, name, spec) VALUES ('Provider', 'bench', 'here', $1)`,
    [JSON.stringify(provider)],
  );
  const store = registries.stores.find(({ kind }) => kind === 'local')?.open(localStore.spec);
  const leaks: Leak[] = [];
  for (let number = 0; number < count; number += 1) {
    const role = `bench_${number}_blue`;
    const secret = `leaked-${randomUUID()}`;
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${secret}' IN ROLE bench_owner`);
    const path = `bench/${number}`;
    const roles = [role, `bench_${number}_green`];
    const { uid } = await applyPolicy(ledger, {
      uid: randomUUID(),
      namespace: 'bench',
      name: `leak-${number}`,
      spec: {
        provider: 'here',
        credential: { kind: 'postgres', spec: { mode: 'alternating-users', roles, owner: 'bench_owner' } },
        store: { name: 'local', path },
        deliver: [],
        consumers: [],
        settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 60_000, onTimeout: 'roll-back' },
        deadlineMs: 600_000,
        suspend: false,
      },
    });
    const versionId = randomUUID();
    const fields = { username: role, host, port: String(port), dbname: database ?? '' };
    const password = SecretValue.of(secret);
    const document = encodeCredential({ versionId, identity: role, fields, secrets: { password } });
    const call: Call = {
      deadline: Deadline.after(15_000),
      fence: 0n,
      clock: systemClock,
      random: cryptoRandom,
      log: silentLog,
    };
    await store?.stage(call, path, versionId, document);
    await store?.promote(call, path, versionId, undefined);
    await ledger.query(
      `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint) VALUES ($1, $2, 'current', $3, $4)`,
      [versionId, uid, role, password.fingerprint(fingerprintKey)],
    );
    leaks.push({ policyUid: uid, role, secret });
  }
  await client.end();
  return leaks;
}

/** Login roles that nobody but the script below knows. */
export async function makeRoles(url: string, count: number): Promise<Pick<Leak, 'role' | 'secret'>[]> {
  const client = await connect(url);
  const roles: Pick<Leak, 'role' | 'secret'>[] = [];
  for (let number = 0; number < count; number += 1) {
    const [role, secret] = [`bare_${number}`, `leaked-${randomUUID()}`];
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${secret}'`);
    roles.push({ role, secret });
  }
  await client.end();
  return roles;
}

/**
 * What somebody would run by hand: log in as the admin, lock the role, end its sessions, try the leaked password. No report,
 * no ledger, no fence, nobody looks whether a session came in between.
 * @returns milliseconds
 */
export async function containByHand(
  url: string,
  { role, secret }: Pick<Leak, 'role' | 'secret'>,
): Promise<number> {
  return timed(1, 1, async () => {
    const admin = await connect(url, ADMIN);
    await admin.query(`ALTER ROLE ${role} NOLOGIN`);
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role]);
    await admin.end();
    if (await logsIn(url, role, secret)) throw new Error(`${role} still logs in`);
  });
}

/** A real attempt. @throws what is no answer about the credential */
export async function logsIn(url: string, role: string, secret: string): Promise<boolean> {
  try {
    await (await connect(url, { user: role, password: secret })).end();
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && /^28/.test(error.code ?? '')) return false;
    throw error;
  }
}

async function connect(
  url: string,
  as?: { readonly user: string; readonly password: string },
): Promise<pg.Client> {
  const { hostname, port, pathname, username, password } = new URL(url);
  const client = new pg.Client({
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: as?.user ?? decodeURIComponent(username),
    password: as?.password ?? decodeURIComponent(password),
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

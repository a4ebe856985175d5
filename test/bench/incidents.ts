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
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation, ledgerNow } from '../../ledger/rotations.ts';
import { parseHooks } from '../../orchestrator/intake/hooks-file.ts';
import { type Hooks, openHooks } from '../../orchestrator/intake/receive.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { startWorkerHost } from '../../workers/host.ts';
import { INCIDENT_QUEUE, openQueue } from '../../workers/queue/queue.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { policiesFor } from './empty-saga.ts';
import { MEMORY_SPEC, memoryParts } from './memory-parts.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export interface IncidentTimes {
  /** Webhook received to a real attempt refused, one report at a time. Milliseconds. */
  readonly idle: Percentiles;
  /** The same while a thousand rotations wait in the queue. */
  readonly busy: Percentiles;
  /** A thousand credentials in one report, until the last is refused. Milliseconds. */
  readonly thousand: number;
}

const ONE_BY_ONE = 100;
const AT_ONCE = 1_000;
const BATCH = 1_000;

/** (l) From a webhook to a proven refusal, on a real PostgreSQL that also keeps ledger and queue. */
export async function incidentTimes(ledger: Ledger, url: string, folder: string): Promise<IncidentTimes> {
  const registries = withMemory({ stores: stores({ keyring: Keyring.generate() }) });
  const queueName = `bench-${randomUUID()}`;
  const queueUrl = SecretValue.of(url);
  const queue = await openQueue({ url: queueUrl, log: silentLog, name: queueName });
  const incidents = await openQueue({
    url: queueUrl,
    log: silentLog,
    name: `${queueName}-${INCIDENT_QUEUE}`,
  });
  const fingerprintKey = SecretValue.of('bench');
  const shared = {
    ledger,
    registries,
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey,
  };
  const orchestrator: Orchestrator = {
    ...shared,
    localStore: { kind: 'local', spec: { path: join(folder, 'leaks') } },
    anchorFile: undefined,
    wake: (id) => queue.wake(id, 'start').catch(() => undefined),
    wakeIncident: (id) => incidents.wake(id, `${Date.now()}`).catch(() => undefined),
  };
  const hooks = openHooks(orchestrator, await bearerHook(folder));
  const host = await startWorkerHost({
    saga: { ...shared, faults: noFaults, worker: 'bench', leaseMs: 30_000 },
    queueUrl,
    queueName,
    concurrency: 10,
    sweepMs: 2_000,
  });
  try {
    const leaks = await makeLeaks(orchestrator, url, folder, 2 * ONE_BY_ONE + AT_ONCE + 10);
    // Connections, prepared statements and code are warm afterwards.
    await oneByOne(ledger, hooks, leaks.splice(0, 10));
    const idle = percentiles(await oneByOne(ledger, hooks, leaks.splice(0, ONE_BY_ONE)));
    const midnight = batch(ledger, orchestrator);
    const busy = percentiles(await oneByOne(ledger, hooks, leaks.splice(0, ONE_BY_ONE)));
    await midnight;
    const [thousand = 0] = (await contained(ledger, hooks, leaks)).slice(-1);
    return { idle, busy, thousand };
  } finally {
    await host.close();
    await queue.close();
    await incidents.close();
  }
}

function withMemory({ stores: real }: Pick<Registries, 'stores'>): Registries {
  const memory = memoryParts();
  return {
    rotators: [...rotators, ...memory.rotators],
    stores: [...real, ...memory.stores],
    deliveries: [],
    rollouts: [],
  };
}

async function bearerHook(folder: string) {
  const file = join(folder, 'hook-secret');
  await writeFile(file, 'bench\n', { mode: 0o600 });
  const source = `{ perMinute: 100000, generic: { secretsFrom: [{ file: "${file}" }] } }`;
  return parseHooks(`sources: { bench: ${source} }`, 'bench');
}

interface Leak {
  readonly policyUid: string;
  readonly secret: string;
}

/** Policies with a credential that works: a login role of their own at the database. */
async function makeLeaks(
  { ledger, registries, fingerprintKey, localStore }: Orchestrator,
  url: string,
  folder: string,
  count: number,
): Promise<Leak[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { host, port, database } = client;
  const adminFile = join(folder, 'bench-admin');
  await writeFile(adminFile, 'admin-password\n', { mode: 0o600 });
  await client.query(`CREATE ROLE bench_admin LOGIN SUPERUSER PASSWORD 'admin-password'`);
  await client.query(`CREATE ROLE bench_owner NOLOGIN`);
  const postgres = {
    hosts: [{ host, port }],
    database,
    admin: { username: 'bench_admin', passwordFrom: { file: adminFile } },
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
    leaks.push({ policyUid: uid, secret });
  }
  await client.end();
  return leaks;
}

async function oneByOne(ledger: Ledger, hooks: Hooks, leaks: readonly Leak[]): Promise<number[]> {
  const times: number[] = [];
  for (const leak of leaks) times.push(...(await contained(ledger, hooks, [leak])));
  return times;
}

/** Sends one report. @returns milliseconds from its arrival to the proven refusal of each, by the database's clock */
async function contained(ledger: Ledger, hooks: Hooks, leaks: readonly Leak[]): Promise<number[]> {
  const since = (await ledgerNow(ledger)).getTime();
  const body = JSON.stringify(leaks.map(({ secret }) => ({ secret, severity: 'critical' })));
  const { status } = await hooks.receive('bench', '127.0.0.1', {
    method: 'POST',
    headers: { authorization: 'Bearer bench' },
    body: Buffer.from(body),
  });
  if (status !== 202) throw new Error(`a benchmark report was answered ${status}`);
  const uids = leaks.map(({ policyUid }) => policyUid);
  for (;;) {
    const rows = await ledger.query<{ at: Date }>(
      `SELECT contained_at AS at FROM rotor.incident_targets
        WHERE policy_uid = ANY ($1) AND contained_at IS NOT NULL ORDER BY contained_at`,
      [uids],
    );
    if (rows.length === leaks.length) return rows.map(({ at }) => at.getTime() - since);
    await systemClock.sleep(5);
  }
}

/** A midnight batch: rotations whose parts take no time, all in the queue at once. */
async function batch(ledger: Ledger, { wake }: Orchestrator): Promise<void> {
  const policies = await policiesFor(ledger, BATCH);
  const ids = policies.map(() => randomUUID());
  const by = { trigger: 'schedule', requestedBy: 'bench', spec: MEMORY_SPEC, deadlineMs: 600_000 } as const;
  await Promise.all(
    ids.map(async (id, index) => {
      await createRotation(ledger, { id, policyUid: policies[index] as string, ...by });
      await wake(id);
    }),
  );
}

function percentiles(times: readonly number[]): Percentiles {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

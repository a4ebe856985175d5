import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import { createRotation, ledgerNow } from '../../ledger/rotations.ts';
import { followIncidents } from '../../orchestrator/incidents/follow.ts';
import { parseHooks } from '../../orchestrator/intake/hooks-file.ts';
import { type Hooks, openHooks } from '../../orchestrator/intake/receive.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { startWorkerHost } from '../../workers/host.ts';
import { INCIDENT_QUEUE, openQueue } from '../../workers/queue/queue.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { policiesFor, timed } from './empty-saga.ts';
import { containByHand, type Leak, logsIn, makeLeaks, makeRoles } from './leaks.ts';
import { MEMORY_SPEC, memoryParts } from './memory-parts.ts';
import { median } from './rotation.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export interface IncidentTimes {
  /** Webhook received to a real attempt refused, one report at a time. Milliseconds. */
  readonly idle: Percentiles;
  /** The same while a thousand rotations wait in the queue. */
  readonly busy: Percentiles;
  /** How many of them still waited when the last of those reports was answered. */
  readonly stillQueued: number;
  /** The calls alone, by hand, in turn with those of `idle`: the median. Milliseconds. */
  readonly byHand: number;
  /** A thousand credentials in one report, until the last is refused. Milliseconds. */
  readonly thousand: number;
  /** As many by hand, as many at once as Rotor takes on one provider. Milliseconds. */
  readonly thousandByHand: number;
}

export interface Sizes {
  readonly oneByOne: number;
  readonly atOnce: number;
  readonly batch: number;
}

const SIZES: Sizes = { oneByOne: 100, atOnce: 1_000, batch: 1_000 };
const WARM_UP = 10;
const BY_HAND_LANES = 12;
/** So long a part of a rotation of the midnight batch takes: its thousand last longer than the reports meanwhile. */
const PART_MS = 60;
const FOLLOW_MS = 1_000;
/** A benchmark that never ends tells nothing. */
const PATIENCE_MS = 300_000;

/** (l) From a webhook to a proven refusal, on a real PostgreSQL that also keeps ledger and queue. */
export async function incidentTimes(
  ledger: Ledger,
  url: string,
  folder: string,
  sizes = SIZES,
): Promise<IncidentTimes> {
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
  // As every orchestrator does: whoever could not be answered at once is answered a little later.
  const following = setInterval(() => void followIncidents(orchestrator).catch(() => undefined), FOLLOW_MS);
  try {
    const leaks = await makeLeaks(orchestrator, url, folder, WARM_UP + 2 * sizes.oneByOne + sizes.atOnce);
    const roles = await makeRoles(url, sizes.oneByOne + sizes.atOnce);
    const idle: number[] = [];
    const byHand: number[] = [];
    for (const [index, leak] of leaks.splice(0, WARM_UP + sizes.oneByOne).entries()) {
      const ms = await contained(ledger, hooks, [leak]);
      await untilIdle(ledger);
      // Connections, prepared statements and code are warm by now.
      if (index < WARM_UP) continue;
      idle.push(ms);
      byHand.push(await containByHand(url, roles.pop() as Leak));
    }
    await midnight(ledger, orchestrator, sizes.batch);
    const busy: number[] = [];
    for (const leak of leaks.splice(0, sizes.oneByOne)) busy.push(await contained(ledger, hooks, [leak]));
    const stillQueued = await openRotations(ledger);
    await untilIdle(ledger);
    const thousandByHand = await timed(sizes.atOnce, BY_HAND_LANES, async (index) => {
      await containByHand(url, roles[index] as Leak);
    });
    const thousand = await contained(ledger, hooks, leaks);
    for (const { role, secret } of leaks)
      if (await logsIn(url, role, secret)) throw new Error(`${role} still logs in`);
    return {
      idle: percentiles(idle),
      busy: percentiles(busy),
      stillQueued,
      byHand: median(byHand),
      thousand,
      thousandByHand,
    };
  } finally {
    clearInterval(following);
    await host.close();
    await queue.close();
    await incidents.close();
  }
}

function withMemory({ stores: real }: Pick<Registries, 'stores'>): Registries {
  const memory = memoryParts(PART_MS);
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
  return parseHooks(`sources: { bench: ${source} }`, 'bench').sources;
}

/**
 * Sends one report.
 * @returns milliseconds from its arrival to the proven refusal of the last of its credentials, by the database's clock: each
 *   is recorded after a real attempt
 */
async function contained(ledger: Ledger, hooks: Hooks, leaks: readonly Leak[]): Promise<number> {
  const since = (await ledgerNow(ledger)).getTime();
  const body = JSON.stringify(leaks.map(({ secret }) => ({ secret, severity: 'critical' })));
  const { status } = await hooks.receive('bench', '127.0.0.1', {
    method: 'POST',
    headers: { authorization: 'Bearer bench' },
    body: Buffer.from(body),
  });
  if (status !== 202) throw new Error(`a benchmark report was answered ${status}`);
  const uids = leaks.map(({ policyUid }) => policyUid);
  return until(`${leaks.length} credentials to be refused`, 5, async () => {
    // One that its rotation has replaced before it was contained is proven dead as well.
    const [row] = await ledger.query<{ dead: number; at: Date }>(
      `SELECT count(*)::integer AS dead, max(coalesce(contained_at, ended_at)) AS at FROM rotor.incident_targets
        WHERE policy_uid = ANY ($1) AND (contained_at IS NOT NULL OR result = 'proven')`,
      [uids],
    );
    return row?.dead === leaks.length ? row.at.getTime() - since : undefined;
  });
}

/** A midnight batch: rotations that wait in the queue all at once. */
async function midnight(ledger: Ledger, { wake }: Orchestrator, count: number): Promise<void> {
  const policies = await policiesFor(ledger, count);
  const by = { trigger: 'schedule', requestedBy: 'bench', spec: MEMORY_SPEC, deadlineMs: 600_000 } as const;
  await timed(count, 10, async (index) => {
    const id = randomUUID();
    await createRotation(ledger, { id, policyUid: policies[index] as string, ...by });
    await wake(id);
  });
}

async function untilIdle(ledger: Ledger): Promise<void> {
  await until('the queue to be idle', 20, async () =>
    (await openRotations(ledger)) === 0 ? true : undefined,
  );
}

async function openRotations(ledger: Ledger): Promise<number> {
  const [row] = await ledger.query<{ open: number }>(
    'SELECT count(*)::integer AS open FROM rotor.rotations WHERE holds IS NOT NULL',
  );
  return row?.open ?? 0;
}

async function until<T>(what: string, lookMs: number, seen: () => Promise<T | undefined>): Promise<T> {
  const deadline = systemClock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const value = await seen();
    if (value !== undefined) return value;
    if (systemClock.monotonicMs() > deadline)
      throw new Error(`waited ${PATIENCE_MS / 1_000} s for ${what}, in vain`);
    await systemClock.sleep(lookMs);
  }
}

function percentiles(times: readonly number[]): Percentiles {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

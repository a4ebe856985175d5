/**
 * A report of a version that is dead by the record: it is tried for real, on a real PostgreSQL, and one that somebody has
 * brought back dies again.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { encodeCredential } from '../../core/credential.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { getIncident } from '../../ledger/incidents.ts';
import { observationsOf } from '../../ledger/observations.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { listVersions } from '../../ledger/versions.ts';
import { takeReports } from '../../orchestrator/intake/take.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { tryDead } from '../../workers/incidents/try-dead.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';

const KEY = SecretValue.of('fingerprint-key');
const registries = {
  rotators,
  stores: stores({ keyring: Keyring.generate() }),
  deliveries: deliveries({ clusters: noClusters }),
  rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
};

let app: Application;
let test_: TestLedger;
beforeEach(async () => {
  [app, test_] = await Promise.all([anApplication(), freshLedger()]);
});
afterEach(async () => {
  await test_.drop();
  await app.drop();
});

/** @param awayFromUs whether the reporter's process can't reach the provider */
const orchestrator = (awayFromUs = false): Orchestrator => ({
  ledger: test_.ledger,
  registries: awayFromUs ? { ...registries, rotators: [] } : registries,
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
  fingerprintKey: KEY,
  localStore: { kind: 'local', spec: { path: join(app.folder, 'store') } },
  anchorFile: undefined,
  wake: async () => undefined,
  wakeIncident: async () => undefined,
});
const worker = () => ({
  ...{ ledger: test_.ledger, registries, clock: systemClock, random: cryptoRandom, log: silentLog },
  worker: 'test',
});

const VALUE = 'Pl4nted-dead-password';

/** A version of the role that is in use, revoked long ago. */
async function revoked(where: 'in the store' | 'nowhere', port = app.port) {
  const { ledger } = test_;
  const spec: RotationSpec = {
    rotator: {
      kind: 'postgres',
      provider: app.provider({ hosts: [{ host: '127.0.0.1', port }] }),
      credential: { mode: 'alternating-users', roles: app.roles, owner: app.owner },
    },
    store: { kind: 'local', spec: { path: join(app.folder, 'store') }, path: 'shop/app' },
    deliver: [],
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
  };
  const [versionId, current] = [randomUUID(), randomUUID()];
  const identity = app.initial.username;
  const fields = { username: identity, host: '127.0.0.1', port: String(port), dbname: app.name };
  if (where === 'in the store') {
    const store = registries.stores[0]?.open({ path: join(app.folder, 'store') });
    const document = encodeCredential({
      versionId,
      identity,
      fields,
      secrets: { password: SecretValue.of(VALUE) },
    });
    await store?.stage(aCall(), spec.store.path, versionId, document);
  }
  const { uid } = await applyPolicy(ledger, { uid: randomUUID(), namespace: 'shop', name: 'app', spec: {} });
  await ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint, revoked_at)
     VALUES ($1, $3, 'revoked', $4, $5, now() - interval '1 year'), ($2, $3, 'current', $4, NULL, NULL)`,
    [versionId, current, uid, identity, SecretValue.of(VALUE).fingerprint(KEY)],
  );
  const id = randomUUID();
  await createRotation(ledger, {
    id,
    policyUid: uid,
    spec,
    trigger: 'manual',
    requestedBy: 'test',
    deadlineMs: 1,
  });
  return { uid, versionId, current };
}

async function report(by = orchestrator()): Promise<string> {
  const { incidents } = await takeReports(by, 'hook/test', randomUUID(), [
    {
      ...({
        about: 'leak',
        type: 'paste',
        reference: 'paste 1',
        found: [SecretValue.of(VALUE)],
        hints: {},
      } as const),
      ...({ severity: 'critical', validity: 'unknown', exposure: 'public' } as const),
    },
  ]);
  return incidents[0] as string;
}

async function attempted(incident: string) {
  for (;;) {
    const all = await observationsOf(test_.ledger, incident);
    const attempt = all.find(({ kind }) => kind === 'attempt');
    if (attempt) return attempt.facts;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const logsIn = async (): Promise<boolean> => {
  const to = { host: '127.0.0.1', port: app.port, database: app.name };
  const client = new pg.Client({ ...to, user: app.initial.username, password: VALUE });
  return client.connect().then(
    () => client.end().then(() => true),
    () => false,
  );
};

test('it is tried with the value of the report, though the store has it no longer; the value is kept nowhere', async () => {
  await revoked('nowhere');
  const incident = await report();
  expect(await attempted(incident)).toEqual({
    outcome: 'refused',
    what: expect.stringContaining('tried for real and refused'),
  });
  const [dump] = await test_.ledger.query<{ text: string }>(
    `SELECT (SELECT string_agg(r::text, ' ') FROM rotor.incident_reports r) || (SELECT string_agg(o::text, ' ') FROM rotor.incident_observations o)
            || (SELECT string_agg(a::text, ' ') FROM rotor.audit a) AS text`,
  );
  expect(dump?.text).not.toContain('Pl4nted');
});

test('where the process that took the report can not ask the provider, a worker does, with what the store has', async () => {
  await revoked('in the store');
  const incident = await report(orchestrator(true));
  for (let tried = false; !tried; ) {
    await tryDead(worker());
    tried = (await observationsOf(test_.ledger, incident)).some(({ kind }) => kind === 'attempt');
  }
  expect(await attempted(incident)).toMatchObject({ outcome: 'refused' });
});

test('where nobody has the value any more, that is said, with what was proven then', async () => {
  await revoked('nowhere');
  const incident = await report(orchestrator(true));
  for (let tried = false; !tried; ) {
    await tryDead(worker());
    tried = (await observationsOf(test_.ledger, incident)).some(({ kind }) => kind === 'attempt');
  }
  expect(await attempted(incident)).toMatchObject({
    outcome: 'not-tried',
    what: expect.stringMatching(/neither the report nor the store .* it was refused in a real attempt at 20/),
  });
});

test('one that somebody has brought back dies again, and is answered as a leak', async () => {
  const { uid, versionId, current } = await revoked('nowhere');
  await app.sql(`ALTER ROLE "${app.initial.username}" LOGIN PASSWORD '${VALUE}'`);
  expect(await logsIn()).toBe(true);
  const incident = await report();
  expect(await attempted(incident)).toMatchObject({ outcome: 'accepted' });
  for (;;) {
    const { targets } = await getIncident(test_.ledger, incident);
    if (targets[0]?.containedAt) {
      expect(targets).toMatchObject([{ answer: 'rotate', mode: 'revoke-first' }]);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await logsIn()).toBe(false);
  const versions = new Map((await listVersions(test_.ledger, uid)).map((each) => [each.id, each]));
  expect(versions.get(versionId)).toMatchObject({ compromised: true, containedAt: expect.any(Date) });
  // One role has one password: what is current under the same name was replaced as well.
  expect(versions.get(current)).toMatchObject({ compromised: true });
});

test('a provider that is away is asked again, and in the end it is said that it never answered', async () => {
  await revoked('in the store', 1);
  const incident = await report();
  for (let tried = false; !tried; ) {
    await test_.ledger.query('UPDATE rotor.incident_targets SET lease_until = NULL');
    await tryDead(worker());
    tried = (await observationsOf(test_.ledger, incident)).some(({ kind }) => kind === 'attempt');
  }
  expect(await attempted(incident)).toMatchObject({ outcome: 'failed' });
});

/**
 * Containment of a leaked credential, interrupted wherever it can be: whoever comes next finishes it, it is never undone, and
 * one provider that hangs holds nobody else back.
 */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { encodeCredential } from '../../core/credential.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { addTargets, setTargetRotation } from '../../ledger/incident-targets.ts';
import { getIncident, openIncident } from '../../ledger/incidents.ts';
import { observationsOf } from '../../ledger/observations.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation, getRotation } from '../../ledger/rotations.ts';
import { listVersions } from '../../ledger/versions.ts';
import { rotators } from '../../rotators/registry.ts';
import type { RotatorSession } from '../../rotators/rotator.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { containLeaked } from '../../workers/incidents/contain.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { initialCredential } from '../../workers/saga/initial.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';

const FINGERPRINT_KEY = SecretValue.of('fingerprint-key');
const keyring = Keyring.generate();
const registries = {
  rotators,
  stores: stores({ keyring }),
  deliveries: deliveries({ clusters: noClusters }),
  rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
};

let app: Application;
let test_: TestLedger;
let black: Server | undefined;

beforeEach(async () => {
  app = await anApplication();
  test_ = await freshLedger();
});
afterEach(async () => {
  black?.close();
  black = undefined;
  await test_.drop();
  await app.drop();
});

const deps = (reach: (point: string) => Promise<void> = async () => undefined) => ({
  ledger: test_.ledger,
  registries,
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
  worker: 'test',
  fingerprintKey: FINGERPRINT_KEY,
  faults: { reach },
});

interface Leak {
  readonly incident: string;
  readonly policyUid: string;
  readonly credential: Credential;
  readonly session: RotatorSession;
}

interface About {
  readonly incident?: string;
  readonly provider?: object;
  /** Login role of the application, whose password is that of the first. */
  readonly role?: string;
  /** No rotation has put it into the store yet: consumers have it from a file. */
  readonly initial?: boolean;
}

/** An open incident about a credential that works. */
async function leak({ incident = randomUUID(), provider = {}, role, initial }: About = {}): Promise<Leak> {
  const { ledger } = test_;
  const username = role ?? app.initial.username;
  const spec: RotationSpec = {
    rotator: {
      kind: 'postgres',
      provider: app.provider(provider),
      credential: { mode: 'alternating-users', roles: [username, app.roles[1]], owner: app.owner },
    },
    store: { kind: 'local', spec: { path: join(app.folder, 'store') }, path: `p${randomUUID().slice(0, 8)}` },
    deliver: [],
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
  };
  const { password } = app.initial;
  const policyUid = randomUUID();
  const fields = { username, host: '127.0.0.1', port: String(app.port), dbname: app.name };
  const made = {
    versionId: randomUUID(),
    identity: username,
    fields,
    secrets: { password: SecretValue.of(password) },
  };
  const document = encodeCredential(made);
  const initialFrom = { file: join(app.folder, 'initial.json') };
  await writeFile(initialFrom.file, document.reveal());
  const format = { identity: 'username', secrets: ['password'] } as const;
  const read = await initialCredential({ initialFrom }, policyUid, format, ({ secrets }) =>
    (secrets.password ?? SecretValue.of('')).fingerprint(FINGERPRINT_KEY).toString('hex'),
  );
  const credential = initial && read ? read.credential : made;
  const { versionId } = credential;
  const store = registries.stores[0]?.open({ path: join(app.folder, 'store') });
  if (!initial) {
    await store?.stage(aCall(), spec.store.path, versionId, document);
    await store?.promote(aCall(), spec.store.path, versionId, undefined);
  }
  const name = `p-${randomUUID()}`;
  const { uid } = await applyPolicy(ledger, { uid: policyUid, namespace: 'shop', name, spec: {} });
  await ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity) VALUES ($1, $2, 'current', $3)`,
    [versionId, uid, username],
  );
  const id = randomUUID();
  const by = { trigger: 'incident', requestedBy: 'test', deadlineMs: 60_000 } as const;
  await createRotation(ledger, {
    id,
    policyUid: uid,
    spec: initial ? { ...spec, initialFrom } : spec,
    ...by,
  });
  if ((await ledger.query('SELECT FROM rotor.incidents WHERE id = $1', [incident])).length === 0)
    await openIncident(ledger, { id: incident, severity: 'critical', openedBy: 'test' });
  const about = { policyUid: uid, policy: `shop/${name}`, versionId, matchedBy: ['fingerprint'] as const };
  await addTargets(ledger, incident, [{ ...about, answer: 'rotate', mode: 'revoke-first', revokeInMs: 0 }]);
  await setTargetRotation(ledger, uid, id);
  const rotator = rotators.find(({ kind }) => kind === 'postgres');
  const session = rotator?.open(
    rotator.provider?.parse(app.provider()),
    rotator.credential.parse(spec.rotator.credential),
  ) as RotatorSession;
  return { incident, policyUid: uid, credential, session };
}

/** Login roles of the application, all with the password of the first. */
async function roles(count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, number) => `${app.name}_${number}`);
  for (const name of names)
    await app.sql(`CREATE ROLE ${name} LOGIN PASSWORD '${app.initial.password}' IN ROLE ${app.owner};
      GRANT ${name} TO ${app.admin} WITH ADMIN OPTION`);
  return names;
}

const leaseOver = () =>
  test_.ledger.query('UPDATE rotor.incident_targets SET lease_until = NULL WHERE contained_at IS NULL');

test.each(['contain:claimed', 'contain:performed', 'contain:recorded'])(
  'a worker that dies at %s: the next one finishes, and says when',
  async (point) => {
    const { incident, policyUid, credential, session } = await leak();
    await containLeaked(
      deps(async (reached) => {
        if (reached === point) throw new Error('died');
      }),
      incident,
    );
    await leaseOver();
    await containLeaked(deps());
    expect(await session.attempt(aCall(), credential)).toBe('refused');
    const { targets } = await getIncident(test_.ledger, incident);
    expect(targets[0]?.containedAt).toBeInstanceOf(Date);
    const [version] = await listVersions(test_.ledger, policyUid);
    expect(version?.containedAt).toBeInstanceOf(Date);
    await session.close();
  },
);

test('one that no rotation has put into the store yet is contained by the file that has it', async () => {
  const { incident, credential, session } = await leak({ initial: true });
  await containLeaked(deps(), incident);
  expect(await session.attempt(aCall(), credential)).toBe('refused');
  expect((await getIncident(test_.ledger, incident)).targets[0]?.containedAt).toBeInstanceOf(Date);
  await session.close();
});

test.each(['contain:performed', 'contain:recorded'])(
  'who used it is on record though the worker dies at %s, when their sessions are gone',
  async (point) => {
    const { incident, credential, session } = await leak();
    const thief = new pg.Client({
      ...{ host: '127.0.0.1', port: app.port, database: app.name, user: credential.identity },
      ...{ password: credential.secrets.password?.reveal() ?? '', application_name: 'a thief' },
    });
    thief.on('error', () => undefined);
    await thief.connect();
    await containLeaked(
      deps(async (reached) => {
        if (reached === point) throw new Error('died');
      }),
      incident,
    );
    await leaseOver();
    await containLeaked(deps());
    const seen = (await observationsOf(test_.ledger, incident)).find(({ kind }) => kind === 'sessions');
    expect(seen?.facts).toMatchObject({
      identity: credential.identity,
      sessions: 1,
      seen: [{ client: '127.0.0.1', application: 'a thief', since: expect.any(String) }],
    });
    await thief.end().catch(() => undefined);
    await session.close();
  },
);

test('two workers at once contain it once', async () => {
  const { incident, credential, session } = await leak();
  await Promise.all([
    containLeaked(deps(), incident),
    containLeaked(deps(), incident),
    containLeaked(deps()),
  ]);
  expect(await session.attempt(aCall(), credential)).toBe('refused');
  const rows = await test_.ledger.query(`SELECT FROM rotor.audit WHERE action = 'credential.contained'`);
  expect(rows).toHaveLength(1);
  await session.close();
});

test('a provider that hangs does not hold back the others of the same incident', async () => {
  const silent = createServer(() => undefined);
  black = silent;
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const { incident, credential, session } = await leak();
  await leak({ incident, provider: { hosts: [{ host: '127.0.0.1', port }] } });
  const all = containLeaked(deps(), incident);
  for (let contained = false; !contained; ) {
    const { targets } = await getIncident(test_.ledger, incident);
    contained = targets.some(({ containedAt }) => containedAt !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await session.attempt(aCall(), credential)).toBe('refused');
  silent.close();
  await all;
  const { targets } = await getIncident(test_.ledger, incident);
  expect(targets.filter(({ containedAt }) => containedAt !== undefined)).toHaveLength(1);
  await session.close();
});

test('a credential that hangs does not hold back the others of the same provider, and is contained when it can be', async () => {
  const incident = randomUUID();
  const [stuck, ...others] = await roles(30);
  const leaks: Leak[] = [];
  for (const role of [stuck as string, ...others]) leaks.push(await leak({ incident, role }));
  // Somebody else is at this role and doesn't come to an end.
  await app.sql(`BEGIN; ALTER ROLE ${stuck} CONNECTION LIMIT 5`);
  const contained = async () =>
    (await getIncident(test_.ledger, incident)).targets.filter(({ containedAt }) => containedAt).length;
  const all = containLeaked(deps(), incident);
  await expect.poll(contained, { timeout: 30_000 }).toBe(others.length);
  await app.sql('COMMIT');
  await all;
  await leaseOver();
  await containLeaked(deps(), incident);
  for (const { session, credential } of leaks) {
    expect(await session.attempt(aCall(), credential)).toBe('refused');
    await session.close();
  }
  const trail = await test_.ledger.query<{ subject: string }>(
    `SELECT subject FROM rotor.audit WHERE action = 'credential.contained'`,
  );
  expect(trail.map(({ subject }) => subject).toSorted()).toEqual(
    leaks.map(({ credential }) => `credential/${credential.versionId}`).toSorted(),
  );
});

test('of many that leaked at once no rotation begins while a credential still waits for its turn to be contained', async () => {
  const incident = randomUUID();
  for (const role of await roles(40)) await leak({ incident, role });
  await test_.ledger.query(`UPDATE rotor.rotations SET wake_at = clock_timestamp() + interval '1 hour'`);
  const begun: string[] = [];
  await containLeaked(deps(), incident, async (rotation) => {
    const { targets } = await getIncident(test_.ledger, incident);
    // Under way, at most one in each lane.
    expect(targets.filter(({ containedAt }) => containedAt === undefined).length).toBeLessThan(12);
    begun.push(rotation);
  });
  const { targets } = await getIncident(test_.ledger, incident);
  expect(begun.toSorted()).toEqual(targets.map(({ rotationId }) => rotationId).toSorted());
  for (const id of begun)
    expect(await getRotation(test_.ledger, id)).toMatchObject({ state: 'queued', wakeAt: undefined });
});

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { letGo } from '../../ledger/incident-rotations.ts';
import { addTargets } from '../../ledger/incident-targets.ts';
import { getIncident, openIncident } from '../../ledger/incidents.ts';
import { getPolicies } from '../../ledger/policies.ts';
import { claimRotation, getRotation } from '../../ledger/rotations.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { incidentText } from '../cli/incident-commands.ts';
import { knownKinds } from '../cli/manifest-files.ts';
import { parseManifests } from '../manifests/parse.ts';
import { applyManifests } from '../operations/apply.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { rotateNow } from '../operations/rotate.ts';
import { answerTargets } from './answer.ts';
import { describeIncident } from './describe.ts';
import { mayTakeOver } from './take-over.ts';

let fresh: TestLedger;
let orchestrator: Orchestrator;

beforeAll(async () => {
  fresh = await freshLedger();
  orchestrator = {
    ledger: fresh.ledger,
    registries: knownKinds(),
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('key'),
    localStore: { kind: 'local', spec: { path: '/nowhere' } },
    anchorFile: undefined,
    wake: async () => undefined,
    wakeIncident: async () => undefined,
  };
});
afterAll(() => fresh.drop());

/** Policies, and an open incident about their credentials. */
async function reported(count: number) {
  const names = Array.from({ length: count }, () => `p-${randomUUID()}`);
  const texts = names.map(
    (name) =>
      `{apiVersion: rotor.dev/v1alpha1, kind: RotationPolicy, metadata: {name: ${name}}, spec: {credential: {random: {}}, store: {path: ${name}}}}`,
  );
  const manifests = parseManifests(texts.join('\n---\n'), 'test', orchestrator.registries);
  await applyManifests(orchestrator, manifests, 'test');
  const policies = await getPolicies(
    fresh.ledger,
    names.map((name) => `default/${name}`),
  );
  const targets = policies.map(({ uid, name }) => ({ policyUid: uid, policy: `default/${name}` }));
  const incident = randomUUID();
  await openIncident(fresh.ledger, { id: incident, severity: 'critical', openedBy: 'test' });
  const about = { matchedBy: ['policy'], answer: 'rotate', mode: 'revoke-first', revokeInMs: 0 } as const;
  await addTargets(
    fresh.ledger,
    incident,
    targets.map((target) => ({ ...target, ...about, versionId: undefined })),
  );
  return { incident, targets };
}

const answer = (targets: Parameters<typeof answerTargets>[2], holdMs?: number) =>
  fresh.ledger.transaction((ledger) => answerTargets(orchestrator, ledger, targets, 'test', holdMs));

test('many credentials get a rotation each, which their incident knows; on record one by one', async () => {
  const { incident, targets } = await reported(30);
  const ready = await answer(targets);
  expect(new Set(ready).size).toBe(30);
  const known = (await getIncident(fresh.ledger, incident)).targets;
  expect(known.map(({ rotationId }) => rotationId).toSorted()).toEqual([...ready].toSorted());
  for (const { policy, rotationId } of known)
    expect(await getRotation(fresh.ledger, rotationId as string)).toMatchObject({
      policy,
      trigger: 'incident',
      requestedBy: 'test',
      spec: { store: { kind: 'local', path: policy.replace('default/', '') } },
    });
  const audited = await fresh.ledger.query<{ subject: string }>(
    `SELECT subject FROM rotor.audit WHERE action = 'rotation.requested' AND subject = ANY ($1)`,
    [ready.map((id) => `rotation/${id}`)],
  );
  expect(audited).toHaveLength(30);
});

test('a rotation that is open already is the answer for its credential', async () => {
  const { incident, targets } = await reported(3);
  const open = await rotateNow(orchestrator, targets[1]?.policy ?? '', 'somebody');
  const ready = await answer(targets);
  expect(ready).toHaveLength(3);
  expect(ready).toContain(open);
  const known = (await getIncident(fresh.ledger, incident)).targets;
  expect(known.find(({ policy }) => policy === targets[1]?.policy)?.rotationId).toBe(open);
});

test('answered again, nobody gets a second rotation', async () => {
  const { targets } = await reported(3);
  const first = await answer(targets);
  expect([...(await answer(targets))].toSorted()).toEqual([...first].toSorted());
});

test('held ones begin only when they are let go, or when their time has come', async () => {
  const { incident, targets } = await reported(2);
  expect(await answer(targets, 60_000)).toEqual([]);
  const ids = (await getIncident(fresh.ledger, incident)).targets.map(
    ({ rotationId }) => rotationId as string,
  );
  for (const id of ids) expect(await claimRotation(fresh.ledger, id, 'test', 1_000)).toBeUndefined();
  await letGo(fresh.ledger, ids.slice(0, 1));
  expect(await claimRotation(fresh.ledger, ids[0] as string, 'test', 1_000)).toMatchObject({ id: ids[0] });
  expect(await claimRotation(fresh.ledger, ids[1] as string, 'test', 1_000)).toBeUndefined();
});

const stopped = (id: string, error: { code: string; what: string; hint: string }) =>
  fresh.ledger.query("UPDATE rotor.rotations SET state = 'needs-human', error = $2 WHERE id = $1", [
    id,
    JSON.stringify(error),
  ]);
const stillUsed = {
  code: 'rotation.needs-human',
  what: 'the old credential is still used by an old client',
  hint: 'End or reload the named clients.',
};

test('one that waits for a person goes on where it is known why it stopped, once for each incident', async () => {
  const { targets } = await reported(1);
  const open = await rotateNow(orchestrator, targets[0]?.policy ?? '', 'somebody');
  await stopped(open, stillUsed);
  expect(await answer(targets)).toEqual([open]);
  expect(await getRotation(fresh.ledger, open)).toMatchObject({ state: 'queued' });
  const [{ hurried } = {}] = await fresh.ledger.query('SELECT hurried FROM rotor.rotations WHERE id = $1', [
    open,
  ]);
  expect(hurried).toBe(true);
  const audited = await fresh.ledger.query(
    'SELECT actor FROM rotor.audit WHERE action = $1 AND subject = $2',
    ['rotation.resumed', `rotation/${open}`],
  );
  expect(audited).toEqual([{ actor: 'test' }]);
  // It stopped again: a person is asked, whatever else is reported.
  await stopped(open, stillUsed);
  await answer(targets);
  expect(await getRotation(fresh.ledger, open)).toMatchObject({ state: 'needs-human' });
});

test('where nobody knows what happened a person looks first, and is told the command', async () => {
  const { incident, targets } = await reported(1);
  const open = await rotateNow(orchestrator, targets[0]?.policy ?? '', 'somebody');
  await stopped(open, {
    code: 'provider.connection-lost',
    what: 'the answer of db was lost',
    hint: `Look at db. Then settle it with: rotor resume rotation/${open}`,
  });
  await answer(targets);
  expect(await getRotation(fresh.ledger, open)).toMatchObject({ state: 'needs-human' });
  const view = await describeIncident(orchestrator, incident);
  expect(view.targets[0]?.rotation).toEqual({
    state: 'needs-human',
    step: undefined,
    needs: `the answer of db was lost. What happened is not known, so that the incident does not go on by itself. Look at db. Then settle it with: rotor resume rotation/${open}`,
  });
  expect(incidentText(view)).toContain(`${targets[0]?.policy}: the answer of db was lost.`);
});

test.each([
  ['rotation.needs-human', true],
  ['provider.permission-denied', true],
  ['cluster.forbidden', true],
  ['provider.connection-lost', false],
  ['internal.bug', false],
  ['of-a-newer-rotor', false],
])('stopped by %s: goes on by itself: %s', (code, goes) => {
  expect(mayTakeOver({ state: 'needs-human', error: { code, what: 'w', hint: 'h' } })).toBe(goes);
  expect(mayTakeOver({ state: 'running', error: { code, what: 'w', hint: 'h' } })).toBe(false);
});

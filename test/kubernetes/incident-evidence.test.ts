/** What is kept of a cluster when a credential has leaked: who might read it, which pods had it, who did read it. */
import { randomUUID } from 'node:crypto';
import { KubeConfig, KubernetesObjectApi } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { type Clusters, kubeconfigClusters, noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { addTargets, endTarget } from '../../ledger/incident-targets.ts';
import { openIncident } from '../../ledger/incidents.ts';
import { observationsOf } from '../../ledger/observations.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { forgetReads, recordReads } from '../../ledger/secret-reads.ts';
import { seenOf } from '../../orchestrator/incidents/seen.ts';
import { seenSection } from '../../orchestrator/incidents/seen-page.ts';
import { rotators } from '../../rotators/registry.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { gatherEvidence } from '../../workers/incidents/gather.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';

let api: SandboxApi;
let admin: KubernetesObjectApi;
let test_: TestLedger;

beforeEach(async () => {
  [api, test_] = await Promise.all([startApiServer(), freshLedger()]);
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  admin = KubernetesObjectApi.makeApiClient(config);
});
afterEach(async () => {
  await api.stop();
  await test_.drop();
});

const clustersOf = (user = 'admin') =>
  kubeconfigClusters((config) => config.loadFromString(api.kubeconfig(user)));

const gather = (clusters: Clusters = clustersOf()) =>
  gatherEvidence({
    ledger: test_.ledger,
    registries: {
      rotators,
      stores: stores({ keyring: Keyring.generate() }),
      deliveries: deliveries({ clusters }),
      rollouts: rollouts({ allowedCommands: [], clusters }),
    },
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
  });

async function pod(name: string, secretName: string): Promise<void> {
  const container = { name: 'web', image: 'x', envFrom: [{ secretRef: { name: secretName } }] };
  await admin.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [container], nodeName: 'node-1', serviceAccountName: 'web' },
  } as never);
}

/** A leaked version of a Secret `db` that is delivered to the cluster. */
async function leak(): Promise<{ incident: string; policyUid: string }> {
  const { ledger } = test_;
  const deliver = [{ kind: 'secret', spec: { name: 'db', namespaces: ['default'] } }];
  const spec = {
    rotator: { kind: 'random', credential: {} },
    store: { kind: 'local', spec: { path: '/nowhere' }, path: 'db' },
    deliver,
    consumers: [],
    settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
  };
  const name = `p-${randomUUID()}`;
  const { uid } = await applyPolicy(ledger, {
    uid: randomUUID(),
    namespace: 'shop',
    name,
    spec: { deliver },
  });
  const [incident, versionId, rotation] = [randomUUID(), randomUUID(), randomUUID()];
  await createRotation(ledger, {
    id: rotation,
    policyUid: uid,
    trigger: 'manual',
    requestedBy: 'test',
    spec,
    deadlineMs: 60_000,
  });
  await ledger.query(
    `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, current_at) VALUES ($1, $2, 'current', '', now() - interval '1 day')`,
    [versionId, uid],
  );
  await openIncident(ledger, { id: incident, severity: 'critical', openedBy: 'test' });
  const target = { policyUid: uid, policy: `shop/${name}`, versionId, matchedBy: ['fingerprint'] as const };
  await addTargets(ledger, incident, [{ ...target, answer: 'rotate', mode: 'revoke-first', revokeInMs: 0 }]);
  await ledger.query('UPDATE rotor.incident_targets SET contained_at = now() WHERE incident_id = $1', [
    incident,
  ]);
  return { incident, policyUid: uid };
}

const seen = async (incident: string) =>
  new Map((await observationsOf(test_.ledger, incident)).map((each) => [each.kind, each]));

const readAt = (at: Date, auditId: string) => ({
  ...({
    auditId,
    at,
    verb: 'get',
    namespace: 'default',
    name: 'db',
    logicalName: 'db',
    user: 'mallory',
  } as const),
  ...{ impersonated: null, groups: [], ips: ['10.0.0.9'], userAgent: 'curl', code: 200 },
});

test('who might read the Secret and which pods had it is kept as it was, though both are gone later', async () => {
  await pod('web-1', 'db');
  await pod('web-2', 'other');
  const { incident } = await leak();
  await gather();
  await admin.delete({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web-1', namespace: 'default' } });
  await gather();
  const kept = await seen(incident);
  expect(kept.get('pods')?.facts).toMatchObject({
    pods: [{ pod: 'default/web-1', node: 'node-1', serviceAccount: 'web', secret: 'default/db' }],
  });
  expect(kept.get('readers')?.facts).toMatchObject({
    secrets: [{ secret: 'default/db', readers: expect.any(Array), indirect: { mount: expect.any(Number) } }],
  });
  const page = String(seenSection((await seenOf(test_.ledger, incident)).seen, []));
  expect(page).toContain('default/web-1');
});

test('what may not be seen is put down in words, and so is a cluster that is not there', async () => {
  api.addUser('rotor');
  const forbidden = await leak();
  await gather(clustersOf('rotor'));
  const kept = await seen(forbidden.incident);
  expect(kept.get('pods')?.problem).toMatch(/rotor may not list pod/);
  expect(kept.get('readers')?.facts).toMatchObject({
    secrets: [
      {
        blindSpots: [expect.stringMatching(/may not list clusterrole/), ...Array(3).fill(expect.any(String))],
      },
    ],
  });
  const nowhere = await leak();
  await gather(noClusters);
  expect((await seen(nowhere.incident)).get('pods')?.problem).toMatch(/kubeconfig|cluster/);
});

test('what could not be seen at first is looked at again, and then takes the place of the words', async () => {
  await pod('web-1', 'db');
  const { incident } = await leak();
  const broken: Clusters = {
    open: async () => {
      throw (await import('../../core/errors.ts').then(
        ({ RotorError }) => new RotorError('cluster.unavailable', { what: 'it is away' }),
      )) as Error;
    },
  } as Clusters;
  await gather(broken);
  expect((await seen(incident)).get('pods')?.problem).toMatch(/it is away/);
  await test_.ledger.query('UPDATE rotor.incident_targets SET gather_at = now()');
  await gather();
  expect((await seen(incident)).get('pods')).toMatchObject({ problem: null });
});

test('reads since the leaked version was delivered are evidence, and stay so when they are forgotten elsewhere', async () => {
  const { incident, policyUid } = await leak();
  const days = (ago: number) => new Date(Date.now() - ago * 86_400_000);
  await recordReads(test_.ledger, 'hook/cluster', undefined, [
    readAt(days(2), 'before-it-was-there'),
    readAt(days(0.5), 'since'),
  ]);
  const reads = async () => (await seenOf(test_.ledger, incident)).reads.map(({ auditId }) => auditId);
  expect(await reads()).toEqual(['since']);
  await gather();
  await endTarget(test_.ledger, incident, policyUid, 'proven');
  await gather();
  // A little later.
  await test_.ledger.query(
    `UPDATE rotor.incident_targets SET gather_at = now(), ended_at = now() - interval '10 minutes'`,
  );
  await gather();
  await forgetReads(test_.ledger, 0);
  expect(await reads()).toEqual(['since']);
  const [target] = await test_.ledger.query<{ gathered_at: Date | null }>(
    'SELECT gathered_at FROM rotor.incident_targets',
  );
  expect(target?.gathered_at).toBeInstanceOf(Date);
});

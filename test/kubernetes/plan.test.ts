import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { parseManifests } from '../../orchestrator/manifests/parse.ts';
import { applyManifests } from '../../orchestrator/operations/apply.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { planRotation } from '../../orchestrator/operations/plan.ts';
import { rotators } from '../../rotators/registry.ts';
import { startApiServer } from '../../sandbox/api/server.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { freshLedger } from '../setup/ledger.ts';

const POLICY = `
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: token, namespace: shop }
spec:
  credential: { random: {} }
  store: { path: shop/token }
  deliver:
    - secret: { name: token, namespaces: [default], data: { value: "{{value}}" } }
  consumers:
    - name: canary
      rolling: { deployment: canary, namespace: default, secretName: token }
    - name: all
      wave: 1
      discovered: { secretName: token, namespaces: [default] }
  rollout: { maxMoving: 2, pauseBetweenWaves: 1m, coalesce: 10s }
`;

/** An orchestrator with a cluster of its own, which knows the policies in `text`. */
async function planning(text: string) {
  const api = await startApiServer();
  const clusters = kubeconfigClusters((config) => config.loadFromString(api.kubeconfig()));
  const folder = await mkdtemp(join(tmpdir(), 'rotor-plan-'));
  const { ledger, drop } = await freshLedger();
  const registries = {
    rotators,
    stores: stores({ keyring: Keyring.generate() }),
    deliveries: deliveries({ clusters }),
    rollouts: rollouts({ allowedCommands: [], clusters }),
  };
  onTestFinished(async () => {
    for (const rollout of registries.rollouts) await rollout.close?.();
    await api.stop();
    await drop();
    await rm(folder, { recursive: true, force: true });
  });
  const orchestrator: Orchestrator = {
    ledger,
    registries,
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of(randomUUID()),
    localStore: { kind: 'local', spec: { path: folder } },
    anchorFile: undefined,
    wakeIncident: async () => undefined,
    wake: async () => undefined,
  };
  await applyManifests(orchestrator, parseManifests(text, 'policy.yaml', registries), 'test');
  return { api, ledger, orchestrator };
}

test('a plan names the consumers that were found, their waves, and who else may read the Secret', async () => {
  const { api, orchestrator } = await planning(POLICY);
  for (const name of ['canary', 'web']) api.seed('apps/deployments', [deployment(name)]);

  const plan = await planRotation(orchestrator, 'shop/token');
  expect(plan.problems).toEqual([]);
  expect(plan.consumers).toEqual([
    {
      consumer: 'canary',
      wave: 0,
      moves: 'rolling',
      workload: 'deployment default/canary',
      reads: ['env of container web'],
      pods: 0,
    },
    {
      consumer: 'all: deployment default/web',
      wave: 1,
      moves: 'rolling',
      workload: 'deployment default/web',
      reads: ['env of container web'],
      pods: 0,
    },
  ]);
  expect(plan.readers).toMatchObject([{ secret: 'default/token', cluster: 'sandbox', blindSpots: [] }]);
  expect(plan.actions).toContain('move consumer all: deployment default/web');
  expect(plan.warnings).toContain('not looked at: cluster sandbox has no Rollouts of argoproj.io/v1alpha1');
});

test('a Secret that another policy delivers to is refused, until that one leaves it', async () => {
  const copied = POLICY.replace('name: token, namespace: shop', 'name: copied, namespace: shop');
  const { api, ledger, orchestrator } = await planning(`${POLICY}---${copied}`);
  const { uid } = await getPolicy(ledger, 'shop/token');
  const version = randomUUID();
  await ledger.query(
    "INSERT INTO rotor.credential_versions (id, policy_uid, state, identity) VALUES ($1, $2, 'current', '')",
    [version, uid],
  );
  const labels = { 'app.kubernetes.io/managed-by': 'rotor' };
  const metadata = {
    name: 'token',
    namespace: 'default',
    labels,
    annotations: { 'rotor.dev/version': version },
  };
  api.seed('/secrets', [{ apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' }]);
  const refusals = async (policy: string) => {
    const { problems } = await planRotation(orchestrator, policy);
    return problems.filter(({ code }) => code === 'cluster.not-owned').map(({ what }) => what);
  };
  expect(await refusals('shop/token')).toEqual([]);
  expect(await refusals('shop/copied')).toEqual([
    'secret default/token in cluster sandbox is what RotationPolicy shop/token delivers to',
  ]);
  const elsewhere = POLICY.replace('secret: { name: token,', 'secret: { name: other,');
  await applyManifests(
    orchestrator,
    parseManifests(elsewhere, 'policy.yaml', orchestrator.registries),
    'test',
  );
  expect(await refusals('shop/copied')).toEqual([]);
});

function deployment(name: string) {
  const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'token', key: 'value' } } }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'web', env }] } },
    },
  };
}

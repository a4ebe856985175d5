import { PatchStrategy } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { type Rotation, requestCancel, resumeRotation } from '../../ledger/rotations.ts';
import type { Fault } from '../../sandbox/api/faults.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { startTcpProxy } from '../setup/tcp-proxy.ts';
import { type Mall, openMall, type Rule, Shop, type Strategy } from './shop.ts';
import { expectMoved, expectUntouched } from './shop-expectations.ts';
import {
  BY_CSI_DRIVER,
  BY_EXTERNAL_SECRETS,
  STRATEGIES,
  WITH_REAL_PODS,
  WITHOUT_CLUSTER,
} from './strategies.ts';

let mall: Mall;
let ledger: TestLedger;
beforeAll(async () => {
  [mall, ledger] = await Promise.all([openMall(), freshLedger()]);
});
afterAll(async () => {
  await mall.stop();
  await ledger.drop();
});

test('every registered rollout and delivery that speaks to a cluster is in the matrix', () => {
  const deps = { clusters: noClusters, allowedCommands: [] };
  const kinds = (all: readonly { kind: string }[]) => all.map(({ kind }) => kind).sort();
  const known = [...Object.keys(STRATEGIES), ...Object.keys(WITH_REAL_PODS), ...WITHOUT_CLUSTER.rollouts];
  expect(known.sort()).toEqual(kinds(rollouts(deps)));
  expect(['secret', ...BY_EXTERNAL_SECRETS, ...BY_CSI_DRIVER, ...WITHOUT_CLUSTER.deliveries].sort()).toEqual(
    kinds(deliveries(deps)),
  );
});

/** Once, when the saga comes by a point. */
function at(shop: Shop, point: string, happens: () => Promise<unknown>): void {
  const { reach } = shop;
  let happened = false;
  shop.reach = async (reached) => {
    await reach(reached);
    if (happened || reached !== point) return;
    happened = true;
    await happens();
  };
}

const named = (shop: Shop, apiVersion: string, kind: string, name: string) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: shop.name },
});
const deployment = (shop: Shop) => named(shop, 'apps/v1', 'Deployment', 'web');
const secret = (shop: Shop) => named(shop, 'v1', 'Secret', 'db');
const service = (shop: Shop) => named(shop, 'v1', 'Service', 'web');

const edit = (object: object, change: object) =>
  mall.admin.patch(
    { ...object, ...change },
    undefined,
    undefined,
    'kubectl-edit',
    undefined,
    PatchStrategy.MergePatch,
  );
const rubbish = { data: { password: Buffer.from('rubbish').toString('base64') } };

async function cancelAt(shop: Shop, point: string): Promise<void> {
  at(shop, point, () => requestCancel(ledger.ledger, shop.id, 'test'));
}

async function told(shop: Shop, rotation: Rotation): Promise<string> {
  return `${rotation.state} ${JSON.stringify(rotation.error)}\n${await shop.told()}`;
}

describe.each(Object.entries(STRATEGIES))('%s', (_kind, strategy) => {
  test.each<[string, (shop: Shop) => Promise<unknown>]>([
    ['edited by hand', (shop) => edit(secret(shop), rubbish)],
    ['deleted', (shop) => mall.admin.delete(secret(shop))],
  ])(
    'a Secret %s before the rollout is written again: done, no pod started with it',
    async (_what, happens) => {
      const shop = await Shop.open(mall, ledger);
      at(shop, 'forward:rollout:announced', () => happens(shop));
      const rotation = await shop.rotate(strategy);
      const story = await told(shop, rotation);
      expect(rotation.state, story).toBe('done');
      const failed = (await shop.journal()).find(({ event }) => event === 'failed');
      expect(failed?.facts, story).toMatchObject({ code: 'delivery.drifted' });
      expect(failed?.facts.what).toContain(`secret ${shop.name}/db`);
      await expectMoved(shop, rotation, story);
    },
  );

  test('a Secret edited by hand while the rotation settles is right again at its end', async () => {
    const shop = await Shop.open(mall, ledger);
    at(shop, 'forward:settle:announced', () => edit(secret(shop), rubbish));
    const rotation = await shop.rotate(strategy);
    const story = await told(shop, rotation);
    expect(rotation.state, story).toBe('done');
    await expectMoved(shop, rotation, story);
  });

  test('a Secret edited by hand on the way back is right again at its end', async () => {
    const shop = await Shop.open(mall, ledger);
    cancelAt(shop, 'forward:settle:announced');
    at(shop, 'back:rollout:announced', () => edit(secret(shop), rubbish));
    const rotation = await shop.rotate(strategy, { graceMs: 600_000 });
    const story = await told(shop, rotation);
    expect(rotation, story).toMatchObject({ state: 'rolled-back', error: { code: 'rotation.cancelled' } });
    await expectUntouched(shop, rotation, story);
  });

  test.each(['forward:rollout:announced', 'forward:rollout:performed'])(
    'a Deployment deleted in mid-rollout (%s): it ends, with what is missing, and leaves nothing behind',
    async (point) => {
      const shop = await Shop.open(mall, ledger);
      at(shop, point, () => mall.admin.delete(deployment(shop)));
      const rotation = await shop.rotate(strategy);
      await expectEnded(shop, rotation, `deployment ${shop.name}/web`);
    },
  );

  test('a Deployment deleted on the way back: there is nothing to move back, and it ends', async () => {
    const shop = await Shop.open(mall, ledger);
    cancelAt(shop, 'forward:settle:announced');
    at(shop, 'back:rollout:announced', () => mall.admin.delete(deployment(shop)));
    const rotation = await shop.rotate(strategy, { graceMs: 600_000 });
    expect(rotation, await told(shop, rotation)).toMatchObject({
      state: 'rolled-back',
      error: { code: 'rotation.cancelled' },
    });
    await expectEnded(shop, rotation);
  });

  test('a namespace deleted in mid-rollout: it ends and asks nobody', async () => {
    const shop = await Shop.open(mall, ledger);
    const itself = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: shop.name } };
    at(shop, 'forward:rollout:announced', () => mall.admin.delete(itself));
    const rotation = await shop.rotate(strategy);
    const story = await told(shop, rotation);
    expect(rotation.state, story).toBe('rolled-back');
    expect(rotation.error?.what, story).toContain(shop.name);
    expect(shop.world.accepted.get('green'), story).toBeNull();
    expect(shop.world.broken, story).toEqual([]);
  });

  test('a Deployment scaled to nothing in mid-rollout: done, and it stays at nothing', async () => {
    const shop = await Shop.open(mall, ledger);
    at(shop, 'forward:rollout:announced', () => edit(deployment(shop), { spec: { replicas: 0 } }));
    const rotation = await shop.rotate(strategy);
    const story = await told(shop, rotation);
    expect(rotation.state, story).toBe('done');
    expect(shop.world.broken, story).toEqual([]);
    await expect.poll(() => shop.held(), { message: story, timeout: 10_000 }).toEqual([]);
    expect(await shop.deployments(), story).toEqual(['web']);
  });

  test('watches of the cluster cut again and again, their past forgotten: done, no pod was refused', async () => {
    const shop = await Shop.open(mall, ledger);
    shop.reach = async (point) => {
      if (!/rollout|settle/.test(point)) return;
      mall.api.cutWatches();
      mall.api.forgetHistory();
    };
    const rotation = await shop.rotate(strategy);
    const story = await told(shop, rotation);
    expect(rotation.state, story).toBe('done');
    await expectMoved(shop, rotation, story);
  });

  test('an API server that is away while the rollout begins: done once it is back, or all is as it was', async () => {
    const proxy = await startTcpProxy(Number(new URL(mall.api.url).port));
    for (const refusals of [2, 8]) {
      const shop = await Shop.open(mall, ledger);
      shop.server = `https://127.0.0.1:${proxy.port}`;
      at(shop, 'forward:rollout:announced', () => proxy.down());
      const mended = shop.rotate(strategy);
      await expect
        .poll(async () => (await shop.journal()).filter(({ event }) => event === 'failed').length, {
          timeout: 30_000,
          interval: 10,
        })
        .toBeGreaterThanOrEqual(refusals);
      await proxy.up();
      const rotation = await mended;
      const story = await told(shop, rotation);
      const [failed] = (await shop.journal()).filter(({ event }) => event === 'failed');
      expect(failed?.facts.code, story).toBe('cluster.unavailable');
      expect(failed?.facts.what, story).toMatch(/get .*\/(db|web)/);
      if (refusals === 2) await expectMoved(shop, rotation, story);
      else await expectUntouched(shop, rotation, story);
      expect(rotation.state, story).toBe(refusals === 2 ? 'done' : 'rolled-back');
    }
    await proxy.close();
  });
});

describe('consumers that the cluster is watched for', () => {
  const found: Strategy = (namespace) => ({
    kind: 'discovered',
    spec: { secretName: 'db', namespaces: [namespace] },
  });

  test.each<[string, Fault]>([
    ['cut whenever they begin', 'cut'],
    ['refused as too many', { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 }],
    ['of a version that is forgotten', { status: 410, reason: 'Expired' }],
  ])('no watch for as long as the rollout lasts (%s): found all the same, done', async (_what, fault) => {
    const shop = await Shop.open(mall, ledger);
    at(shop, 'forward:deliver:announced', async () => {
      shop.before = ({ verb }) => (verb === 'watch' ? fault : 'ok');
      mall.api.cutWatches();
    });
    const rotation = await shop.rotate(found);
    const story = await told(shop, rotation);
    expect(rotation.state, story).toBe('done');
    await expectMoved(shop, rotation, story);
  });
});

test('a Service deleted in mid-rollout, or on the way back: it ends, with what is missing', async () => {
  for (const point of ['forward:rollout:announced', 'back:rollout:announced']) {
    const shop = await Shop.open(mall, ledger);
    const back = point.startsWith('back');
    if (back) cancelAt(shop, 'forward:settle:announced');
    at(shop, point, () => mall.admin.delete(service(shop)));
    const rotation = await shop.rotate(blueGreen, { graceMs: back ? 600_000 : 0 });
    const story = await told(shop, rotation);
    expect(rotation.state, story).toBe('rolled-back');
    if (!back) expect(rotation.error?.what, story).toContain(`service ${shop.name}/web`);
    expect(await shop.deployments(), story).toEqual(['web']);
    expect(shop.held().map(({ version }) => version)).toEqual([shop.current.version]);
    expect(shop.world.broken, story).toEqual([]);
  }
});

const blueGreen = STRATEGIES.blueGreen as Strategy;

/** What docs/kubernetes.md lists. */
const NEEDED: readonly (readonly [group: string, resource: string, ...verbs: string[]])[] = [
  ['', 'secrets', 'get', 'patch', 'create'],
  ['apps', 'deployments', 'get', 'patch', 'create', 'delete', 'list'],
  ['', 'services', 'get', 'patch'],
  ['', 'pods', 'list', 'patch'],
  ['discovery.k8s.io', 'endpointslices', 'list'],
];

function rules(without?: readonly [verb: string, resource: string]): readonly Rule[] {
  return NEEDED.map(([group, resource, ...verbs]) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: verbs.filter((verb) => !(without?.[1] === resource && without[0] === verb)),
  })).filter(({ verbs }) => verbs.length > 0);
}

describe.each(Object.entries(STRATEGIES))(
  '%s, a user of the cluster who lacks a permission',
  (kind, strategy) => {
    const touched = NEEDED.flatMap(([, resource, ...verbs]) =>
      verbs.map((verb) => [verb, resource] as const),
    ).filter(
      ([verb, resource]) =>
        kind === 'blueGreen' ||
        resource === 'secrets' ||
        (resource === 'deployments' && ['get', 'patch'].includes(verb)) ||
        (resource === 'pods' && verb === 'list'),
    );

    test('with those that the documentation lists, and no others, it is done', async () => {
      const shop = await Shop.open(mall, ledger, 'no rights');
      await shop.grant(rules());
      const rotation = await shop.rotate(strategy);
      const story = await told(shop, rotation);
      expect(rotation.state, story).toBe('done');
      await expectMoved(shop, rotation, story);
    });

    // Nothing of a Secret that is there needs `create`.
    test.each(touched.filter(([verb, resource]) => !(verb === 'create' && resource === 'secrets')))(
      'from the start (%s %s): refused before anything is changed',
      async (verb, resource) => {
        const shop = await Shop.open(mall, ledger, 'no rights');
        await shop.grant(rules([verb, resource]));
        const rotation = await shop.rotate(strategy);
        const story = await told(shop, rotation);
        expect(rotation, story).toMatchObject({ state: 'rolled-back', error: { code: 'cluster.forbidden' } });
        expect(rotation.error?.what, story).toContain(`may not ${verb} ${resource.replace(/s$/, '')}`);
        expect(rotation.error?.hint, story).toContain(`"${verb}" on ${resource}`);
        expect(await shop.told(), story).not.toContain('intent');
        await expectUntouched(shop, rotation, story);
      },
    );

    test.each(touched.filter(([verb, resource]) => !(verb === 'create' && resource === 'secrets')))(
      'since the rotation began (%s %s): it turns back and names verb and object; what is missing for that too, a human grants',
      async (verb, resource) => {
        const shop = await Shop.open(mall, ledger, 'no rights');
        await shop.grant(rules());
        at(shop, 'forward:deliver:announced', () => shop.grant(rules([verb, resource])));
        let rotation = await shop.rotate(strategy);
        let story = await told(shop, rotation);
        expect(['rolled-back', 'needs-human'], story).toContain(rotation.state);
        expect(rotation.error, story).toMatchObject({ code: 'cluster.forbidden' });
        expect(rotation.error?.what, story).toContain(`may not ${verb} ${resource.replace(/s$/, '')}`);
        expect(shop.world.broken, story).toEqual([]);
        if (rotation.state === 'needs-human') {
          expect(rotation.error?.hint, story).toContain(`"${verb}" on ${resource}`);
          expect(rotation.error?.hint, story).toContain(`rotor resume rotation/${shop.id}`);
          await shop.grant(rules());
          await resumeRotation(ledger.ledger, shop.id, 'test', 600_000);
          rotation = await shop.goOn();
          story = await told(shop, rotation);
          expect(rotation, story).toMatchObject({
            state: 'rolled-back',
            error: { code: 'cluster.forbidden' },
          });
        }
        await expectUntouched(shop, rotation, story);
      },
    );

    test('once the old credential is dead: a human is told, and with the permission it is done', async () => {
      const shop = await Shop.open(mall, ledger, 'no rights');
      await shop.grant(rules());
      at(shop, 'forward:prove:announced', () => shop.grant(rules(['get', 'secrets'])));
      const asked = await shop.rotate(strategy);
      const story = await told(shop, asked);
      expect(asked, story).toMatchObject({ state: 'needs-human', error: { code: 'cluster.forbidden' } });
      await shop.grant(rules());
      await resumeRotation(ledger.ledger, shop.id, 'test', 600_000);
      const rotation = await shop.goOn();
      expect(rotation.state, await told(shop, rotation)).toBe('done');
      await expectMoved(shop, rotation, await told(shop, rotation));
    });
  },
);

/** Ended with a workload that is gone: nothing at the provider and in the cluster is left of the attempt. */
async function expectEnded(shop: Shop, rotation: Rotation, missing?: string): Promise<void> {
  const story = await told(shop, rotation);
  expect(['done', 'rolled-back'], story).toContain(rotation.state);
  if (missing && rotation.state === 'rolled-back') expect(rotation.error?.what, story).toContain(missing);
  expect(shop.world.broken, story).toEqual([]);
  await expect.poll(() => shop.deployments(), { message: story, timeout: 10_000 }).toEqual([]);
  await expect.poll(() => shop.held(), { message: story, timeout: 10_000 }).toEqual([]);
  const dead = rotation.state === 'done' ? 'blue' : 'green';
  expect(shop.world.accepted.get(dead), story).toBeNull();
  const { spec } = await shop.read('v1', 'Service', 'web');
  expect(spec.selector, story).toEqual({ app: 'web' });
}

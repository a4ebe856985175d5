import { setImmediate } from 'node:timers/promises';
import { type KubernetesObject, PatchStrategy, type V1Secret } from '@kubernetes/client-node';
import { expect, onTestFinished } from 'vitest';
import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import type { DeliverySession } from '../../workers/deliveries/delivery.ts';
import { externalSecretDelivery } from '../../workers/deliveries/external-secret/delivery.ts';
import { pushSecretDelivery } from '../../workers/deliveries/push-secret/delivery.ts';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { valuesOf } from '../../workers/deliveries/template.ts';
import { externalSecretDefinition, externalSecretsDouble } from '../doubles/external-secrets/controller.ts';
import { pushSecretDefinition, pushSecretsDouble } from '../doubles/external-secrets/push-controller.ts';
import { install, running } from '../doubles/installed.ts';
import { type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import type { DeliveryScenario } from './deliveries-scenarios.ts';

async function freshNamespace(): Promise<{ cluster: TestCluster; namespace: TestNamespace }> {
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  onTestFinished(() => namespace.remove());
  return { cluster, namespace };
}

/**
 * A session that delivers as the step does: what comes before it first, then again and again until nothing is missing. Half a
 * minute passes between, after which the operator is told anew.
 */
export function untilArrived(
  session: DeliverySession,
  before: (call: Call, credential: Credential) => Promise<void>,
): DeliverySession {
  let passedMs = 0;
  return {
    target: session.target,
    ...(session.unseen ? { unseen: true } : {}),
    ...(session.warnings ? { warnings: session.warnings } : {}),
    plan: (call) => session.plan(call),
    holds: (call, credential) => session.holds(call, credential),
    deliver: async (call, credential) => {
      call.deadline.assertTime('what comes before');
      await before(call, credential);
      passedMs += 31_000;
      const clock = { ...call.clock, now: () => new Date(Date.now() + passedMs) };
      await session.deliver({ ...call, clock }, credential);
      const known = { before: undefined, since: new Date(Date.now() + passedMs) };
      const missing = async () => session.missing?.({ ...call, clock }, credential, known);
      await expect.poll(missing, { timeout: 10_000, interval: 5 }).toBeUndefined();
    },
  };
}

/** An ExternalSecret that copies what the store has. */
export async function byExternalSecret(options: object = {}, target?: string): Promise<DeliveryScenario> {
  const { cluster, namespace } = await freshNamespace();
  const { api, clusters } = cluster;
  let stored: Readonly<Record<string, string>> = { username: 'app', password: 'first' };
  await install(cluster, [externalSecretDefinition]);
  await running(
    cluster,
    externalSecretsDouble((where) => (where === namespace.name ? stored : undefined)),
  );
  await namespace.create({
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: 'db' },
    spec: {
      refreshInterval: '1h',
      secretStoreRef: { name: 'vault', kind: 'SecretStore' },
      ...(target ? { target: { name: target } } : {}),
      dataFrom: [{ extract: { key: 'shop/db' } }],
    },
  });
  const source = {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: 'db', namespace: namespace.name },
  };
  await untilReady(cluster, source);
  const delivery = externalSecretDelivery({ clusters });
  const open = (name: string) =>
    delivery.open(delivery.spec.parse({ name, namespace: namespace.name, ...options }));
  const ref = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: target ?? 'db', namespace: namespace.name },
  };
  return {
    session: untilArrived(open('db'), async (_call, credential) => {
      stored = { ...Object.fromEntries(valuesOf(credential)), url: urlOf(credential) };
    }),
    read: async () => {
      const data = (await api.read<V1Secret>(ref).catch(() => undefined))?.data;
      return data && Buffer.from(texts(data));
    },
    tamper: async () => {
      const edited = Buffer.from('by hand').toString('base64');
      const patch = { ...ref, data: { password: edited, url: edited } };
      await api.patch(patch, undefined, undefined, 'kubectl-edit', undefined, PatchStrategy.MergePatch);
    },
    unreachable: open('elsewhere'),
    refusedAs: 'cluster.not-found',
  };
}

/** A Secret that Rotor delivers, and a PushSecret that brings it to another store. */
export async function byPushSecret(): Promise<DeliveryScenario> {
  const { cluster, namespace } = await freshNamespace();
  const { clusters } = cluster;
  let pushed: Readonly<Record<string, string>> | undefined;
  await install(cluster, [pushSecretDefinition]);
  await namespace.create({
    apiVersion: 'external-secrets.io/v1alpha1',
    kind: 'PushSecret',
    metadata: { name: 'db' },
    spec: {
      refreshInterval: '1h',
      secretStoreRefs: [{ name: 'elsewhere', kind: 'SecretStore' }],
      selector: { secret: { name: 'db' } },
    },
  });
  await running(
    cluster,
    pushSecretsDouble((where, data) => {
      if (where === namespace.name) pushed = data;
    }),
  );
  const delivery = pushSecretDelivery({ clusters });
  const open = (name: string) => delivery.open(delivery.spec.parse({ name, namespace: namespace.name }));
  const secrets = secretDelivery({ clusters });
  const secret = secrets.open(secrets.spec.parse({ name: 'db', namespaces: [namespace.name] }));
  return {
    session: untilArrived(open('db'), (call, credential) => secret.deliver(call, credential)),
    read: async () => {
      // Who asks again and again leaves the double time to push.
      await setImmediate();
      return pushed === undefined ? undefined : Buffer.from(JSON.stringify(pushed));
    },
    tamper: async () => {
      pushed = { password: 'by hand' };
    },
    unreachable: open('elsewhere'),
    refusedAs: 'cluster.not-found',
  };
}

export async function untilReady({ api }: TestCluster, source: Parameters<TestCluster['api']['read']>[0]) {
  const ready = async () => {
    const { status } = await api.read<KubernetesObject & { status?: { conditions?: { status: string }[] } }>(
      source,
    );
    return status?.conditions?.[0]?.status;
  };
  await expect.poll(ready, { timeout: 10_000, interval: 10 }).toBe('True');
}

function texts(data: Readonly<Record<string, string>>): string {
  return Object.entries(data)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${Buffer.from(value, 'base64').toString()}`)
    .join('\n');
}

function urlOf({ secrets }: Credential): string {
  return `postgres://app:${secrets.password?.reveal()}@db/`;
}

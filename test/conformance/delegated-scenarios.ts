import type { KubernetesObject } from '@kubernetes/client-node';
import { expect } from 'vitest';
import { delegatedRollout } from '../../workers/rollouts/delegated/rollout.ts';
import { externalSecretDefinition, externalSecretsDouble } from '../doubles/external-secrets/controller.ts';
import { install, running } from '../doubles/installed.ts';
import { startReloaderDouble } from '../doubles/reloader.ts';
import { vaultSecretsOperatorDouble } from '../doubles/vault-secrets-operator/controller.ts';
import { vaultStaticSecretDefinition } from '../doubles/vault-secrets-operator/definition.ts';
import { aShop, deployment, type Shop } from './cluster-scenarios.ts';
import type { RolloutScenario } from './rollouts-scenarios.ts';

/** The shop with Reloader's annotation, and a double of Reloader beside it. */
export function aReloadedShop(options: object = {}, doubles: 'there' | 'none' = 'there'): Shop {
  return {
    open: (clusters, namespace) => {
      const rollout = delegatedRollout({ clusters });
      const spec = {
        to: 'reloader',
        deployment: 'shop',
        namespace,
        secretName: 'db',
        timeout: '15s',
        ...options,
      };
      return rollout.open('shop', rollout.spec.parse(spec));
    },
    prepare: async (cluster) => {
      if (doubles === 'there') await running(cluster, startReloaderDouble);
    },
    workload: (reports) => {
      const made = deployment(reports);
      const annotations = { 'reloader.stakater.com/auto': 'true' };
      return { ...made, metadata: { ...made.metadata, annotations } };
    },
    scenario: { byDelivery: true },
  };
}

/** The shop without anybody's annotation, whose Secret Vault's operator makes, unless there is none. */
export function anOperatedShop(
  options: object = {},
  doubles: 'there' | 'none' = 'there',
  found: object = {},
): Shop {
  let version = 'v0';
  const store = () => ({ password: 'marker', version });
  return {
    open: (clusters, namespace) => {
      const rollout = delegatedRollout({ clusters });
      const spec = {
        to: 'vault-secrets-operator',
        deployment: 'shop',
        namespace,
        secretName: 'db',
        keys: { password: 'password', version: 'versionId' },
        timeout: '15s',
        ...options,
      };
      return rollout.open('shop', rollout.spec.parse(spec));
    },
    prepare: async (cluster, namespace) => {
      await install(cluster, [vaultStaticSecretDefinition]);
      const itself = {
        apiVersion: 'secrets.hashicorp.com/v1beta1',
        kind: 'VaultStaticSecret',
        metadata: { name: 'db', namespace: namespace.name },
      };
      await namespace.create({
        ...itself,
        spec: {
          mount: 'kv',
          path: 'shop/db',
          type: 'kv-v2',
          refreshAfter: '300ms',
          destination: { name: 'db', create: true, overwrite: true },
          rolloutRestartTargets: [{ kind: 'Deployment', name: 'shop' }],
          ...found,
        },
      });
      if (doubles === 'none') return;
      await running(cluster, vaultSecretsOperatorDouble(store));
      // Its first sync restarts nobody; a workload that comes later starts with what it wrote.
      const synced = async () =>
        (await cluster.api.read<{ status?: { lastGeneration?: number } } & KubernetesObject>(itself)).status
          ?.lastGeneration;
      await expect.poll(synced, { timeout: 10_000 }).toBe(1);
    },
    deliver: async (_cluster, _namespace, versionId) => {
      version = versionId;
    },
    scenario: { byDelivery: true, otherVersionAs: 'not yet' },
  };
}

export const byVaultSecretsOperator = () => aShop(anOperatedShop());
export const byReloader = () => aShop(aReloadedShop());

/** External Secrets copies what the store has, and Reloader restarts. */
export async function byExternalSecrets(): Promise<RolloutScenario> {
  let version = 'v0';
  // The credential of the kit is always the same but for its version, which stands for the password here.
  const store = () => ({ password: 'marker', version });
  const options = { to: 'external-secrets', keys: { password: 'password', version: 'versionId' } };
  const shop = aReloadedShop(options);
  return aShop({
    ...shop,
    prepare: async (cluster, namespace) => {
      await install(cluster, [externalSecretDefinition]);
      await running(cluster, externalSecretsDouble(store));
      await namespace.create({
        apiVersion: 'external-secrets.io/v1',
        kind: 'ExternalSecret',
        metadata: { name: 'db' },
        spec: {
          refreshInterval: '1h',
          secretStoreRef: { name: 'vault', kind: 'SecretStore' },
          dataFrom: [{ extract: { key: 'shop/db' } }],
        },
      });
      await shop.prepare?.(cluster, namespace);
    },
    deliver: async (_cluster, _namespace, versionId) => {
      version = versionId;
    },
    scenario: { byDelivery: true, otherVersionAs: 'not yet' },
  });
}

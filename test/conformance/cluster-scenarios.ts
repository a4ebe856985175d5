import { PatchStrategy, type V1Secret } from '@kubernetes/client-node';
import { onTestFinished } from 'vitest';
import { secretDelivery } from '../../workers/deliveries/secret/delivery.ts';
import { freshNamespace } from '../setup/cluster.ts';
import type { DeliveryScenario } from './deliveries-scenarios.ts';

/** A Secret in two namespaces of the test cluster. */
export async function intoSecrets(options: object = {}): Promise<DeliveryScenario> {
  const [one, other] = [await freshNamespace(), await freshNamespace()];
  onTestFinished(async () => {
    await one.remove();
    await other.remove();
  });
  const delivery = secretDelivery({ clusters: one.clusters });
  const open = (namespaces: readonly string[]) =>
    delivery.open(delivery.spec.parse({ name: 'db', namespaces, ...options }));
  const ref = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'db', namespace: other.namespace } };
  const read = async () => (await one.api.read<V1Secret>(ref)).data;
  return {
    session: open([one.namespace, other.namespace]),
    read: async () => {
      const data = await read().catch(() => undefined);
      const texts = Object.entries(data ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${Buffer.from(value, 'base64').toString()}`);
      return data && Buffer.from(texts.join('\n'));
    },
    tamper: async () => {
      const [key] = Object.keys((await read()) ?? {});
      await one.api.patch(
        { ...ref, data: { [key ?? '']: Buffer.from('{"edited":"by hand"}').toString('base64') } },
        undefined,
        undefined,
        'kubectl-edit',
        undefined,
        PatchStrategy.MergePatch,
      );
    },
    unreachable: open(['no-such-namespace']),
    refusedAs: 'cluster.not-found',
  };
}

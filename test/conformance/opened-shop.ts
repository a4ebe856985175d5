import { PatchStrategy, type V1Deployment, type V1Pod, type V1Service } from '@kubernetes/client-node';
import { podUrl } from '../../workers/kubernetes/pod-address.ts';
import type { Going } from '../../workers/rollouts/rollout.ts';
import { aCall } from '../setup/call.ts';
import { testCluster } from '../setup/cluster.ts';
import { laterSecond } from '../setup/later-second.ts';
import { aVersion } from '../setup/versions.ts';
import { aShop, deliverVersion, type Shop } from './cluster-scenarios.ts';

/** A shop, and what is seen of it in its cluster. */
export async function opened(shop: Shop) {
  let namespace = '';
  const scenario = await aShop({
    ...shop,
    open: (clusters, name) => {
      namespace = name;
      return shop.open(clusters, name);
    },
  });
  const { api } = await testCluster();
  const ref = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'shop', namespace } };
  return {
    ...scenario,
    deliver: async (versionId: string) => {
      await laterSecond();
      await scenario.deliver(versionId);
    },
    deliverVersioned: async (versionId: string) => deliverVersion(await testCluster(), namespace, versionId),
    reloadByHand: async () => {
      const { items } = await api.list<V1Pod>('v1', 'Pod', namespace);
      for (const pod of items)
        await fetch(podUrl(pod, { port: 8080, path: '/reload' }) as string, { method: 'POST' });
    },
    /** What it answers or throws. */
    move: (going: Going, versionId: string): Promise<unknown> =>
      scenario.session.move(aCall(), aVersion(versionId), going).catch((error: unknown) => error),
    read: () => api.read<V1Deployment>(ref),
    /** A pod that nobody made and no node takes. @returns removes it */
    strayPod: async (labels: Readonly<Record<string, string>>) => {
      const metadata = { name: 'stray', namespace, labels };
      const pod = { apiVersion: 'v1', kind: 'Pod', metadata };
      const spec = { nodeSelector: { no: 'node' }, containers: [{ name: 'web', image: 'none' }] };
      await api.create({ ...pod, spec } as V1Pod);
      return () => api.delete(pod);
    },
    service: () => api.read<V1Service>({ ...ref, apiVersion: 'v1', kind: 'Service' }),
    /** The pods that the Service's selector finds. */
    reached: async () => {
      const { spec } = await api.read<V1Service>({ ...ref, apiVersion: 'v1', kind: 'Service' });
      const wanted = Object.entries(spec?.selector ?? {});
      const { items } = await api.list<V1Pod>('v1', 'Pod', namespace);
      return items
        .filter(({ metadata }) => wanted.every(([name, value]) => metadata?.labels?.[name] === value))
        .map(({ metadata }) => metadata?.name ?? '');
    },
    removePod: (name: string) => api.delete({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } }),
    /** Of the Deployment and its twins. */
    replicas: async () => {
      const { items } = await api.list<V1Deployment>('apps/v1', 'Deployment', namespace);
      return items.map(({ spec }) => spec?.replicas);
    },
    patch: (changes: object) =>
      api.patch({ ...ref, ...changes }, undefined, undefined, 'test', undefined, PatchStrategy.MergePatch),
    pods: async () => {
      const { items } = await api.list<V1Pod>('v1', 'Pod', namespace);
      return items
        .flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? '']))
        .sort();
    },
  };
}

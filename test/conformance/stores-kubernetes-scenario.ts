import { kubernetesStore } from '../../stores/kubernetes/store.ts';
import { stopTestCluster, testCluster } from '../setup/cluster.ts';
import type { StoreScenario } from './stores-scenarios.ts';

/** A namespace of its own in the test cluster. */
export const kubernetesScenario: StoreScenario = {
  server: process.env.ROTOR_TEST_KUBECONFIG ? 'real: the cluster of ROTOR_TEST_KUBECONFIG' : 'sandbox',
  skipped: '',
  home: async () => {
    const { clusters, namespace } = await testCluster();
    const store = kubernetesStore(clusters);
    const spec = store.spec.parse({ namespace: (await namespace()).name });
    return { open: () => store.open(spec) };
  },
  stop: stopTestCluster,
};

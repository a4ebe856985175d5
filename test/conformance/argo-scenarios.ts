import { argoRolloutsRollout } from '../../workers/rollouts/argo-rollouts/rollout.ts';
import { startArgoRolloutsDouble } from '../doubles/argo-rollouts/controller.ts';
import { rolloutDefinition } from '../doubles/argo-rollouts/crd.ts';
import { install, running } from '../doubles/installed.ts';
import { aShop, deployment, type Shop } from './cluster-scenarios.ts';

/** The shop as an Argo Rollout, brought to its pods by a double of the controller. */
export function anArgoShop(strategy: object, options: object = {}): Shop {
  return {
    open: (clusters, namespace) => {
      const rollout = argoRolloutsRollout({ clusters });
      const spec = { rollout: 'shop', namespace, secretName: 'db', ...options };
      return rollout.open('shop', rollout.spec.parse(spec));
    },
    prepare: async (cluster, namespace) => {
      await install(cluster, [rolloutDefinition]);
      for (const name of ['active', 'preview'])
        await namespace.create({
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name },
          spec: { selector: { app: 'shop' }, ports: [{ port: 80 }] },
        });
      await running(cluster, startArgoRolloutsDouble);
    },
    workload: (reports) => {
      const { spec, metadata } = deployment(reports);
      const { replicas, selector, template, progressDeadlineSeconds } = spec;
      return {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata,
        spec: { replicas, selector, template, progressDeadlineSeconds, strategy },
      };
    },
  };
}

export const byCanary = () => aShop(anArgoShop({ canary: {} }));

/** One step is left by itself; the other is promoted, as the policy says. */
export const byCanarySteps = () => {
  const steps = [{ setWeight: 50 }, { pause: { duration: '1s' } }, { pause: {} }];
  return aShop(anArgoShop({ canary: { steps } }, { promote: true }));
};

export const byPreview = () => {
  const services = { activeService: 'active', previewService: 'preview' };
  const blueGreen = { ...services, autoPromotionEnabled: false, scaleDownDelaySeconds: 1 };
  return aShop(anArgoShop({ blueGreen }, { promote: true }));
};

import { podReloadRollout } from '../../workers/rollouts/pod-reload/rollout.ts';
import { aShop, deployment, type Shop, template } from './cluster-scenarios.ts';
import type { RolloutScenario } from './rollouts-scenarios.ts';

/** The shop with the Secret as a volume, reloaded over HTTP at each pod. */
export function aMountedShop(of: 'process' | 'file'): Shop {
  const pointer = of === 'process' ? '/db/running' : '/db/mounted';
  return {
    open: (clusters, namespace) => {
      const rollout = podReloadRollout({ clusters });
      const spec = {
        deployment: 'shop',
        namespace,
        secretName: 'db',
        version: { of, http: { port: 'http', path: '/', pointer } },
        reload: { http: { port: 8080, path: '/reload' } },
        timeout: '4s',
      };
      return rollout.open('shop', rollout.spec.parse(spec));
    },
    workload: (reports) => {
      const made = deployment(reports);
      const mounted = template(reports, {
        env: [{ name: 'MOUNTED', value: '/etc/db' }],
        volumes: [{ name: 'db', secret: { secretName: 'db' } }],
        volumeMounts: [{ name: 'db', mountPath: '/etc/db', readOnly: true }],
      });
      return { ...made, spec: { ...made.spec, template: mounted } };
    },
    proves: of === 'process' ? 'reported' : 'acknowledged',
    refusedAs: 'pods',
  };
}

export const byReportingPods = (): Promise<RolloutScenario> => aShop(aMountedShop('process'));
export const byFiles = (): Promise<RolloutScenario> => aShop(aMountedShop('file'));

import type { Strategy } from './shop.ts';

/**
 * Every rollout that speaks to a cluster, as the policy of a {@link Shop} names it: a new one joins the crash matrix by a
 * line here.
 */
export const STRATEGIES: Readonly<Record<string, Strategy>> = {
  rolling: (namespace) => ({ kind: 'rolling', spec: { deployment: 'web', namespace, secretName: 'db' } }),
  blueGreen: (namespace) => ({
    kind: 'blueGreen',
    spec: { deployment: 'web', service: 'web', namespace, secretName: 'db' },
  }),
};

/** Rollouts whose crash matrix needs more than a node whose pods are no processes: where it stands. */
export const WITH_REAL_PODS = {
  argoRollouts: 'rollout-kinds.test.ts',
  podReload: 'rollout-kinds.test.ts',
  delegated: 'rollout-kinds.test.ts',
  discovered: 'discovered.test.ts',
} as const;

/** Deliveries that External Secrets carries out: external-secrets.test.ts. */
export const BY_EXTERNAL_SECRETS = ['externalSecret', 'pushSecret'] as const;

/** Deliveries that the Secrets Store CSI driver carries out: secret-provider-class.test.ts. */
export const BY_CSI_DRIVER = ['secretProviderClass'] as const;

/** Rollouts that ask no cluster for anything, and deliveries to somewhere else. */
export const WITHOUT_CLUSTER = {
  rollouts: ['reload', 'none'],
  deliveries: ['file', 'httpSink', 'gitlabVariable', 'githubActionsSecret', 'jenkinsCredential'],
} as const;

import type { Kind } from '../../../sandbox/controllers/client/kinds.ts';
import type { Meta, PodTemplate } from '../../../sandbox/controllers/client/wire.ts';

export interface CanaryStep {
  readonly setWeight?: number;
  readonly pause?: { readonly duration?: number | string };
}

/** The fields of a Rollout that the double knows; defaults as documented (argo-rollouts, features/specification). */
export interface RolloutSpec {
  readonly replicas?: number;
  readonly selector: { readonly matchLabels: Record<string, string> };
  readonly template: PodTemplate;
  readonly paused?: boolean;
  readonly progressDeadlineSeconds?: number;
  readonly progressDeadlineAbort?: boolean;
  readonly minReadySeconds?: number;
  readonly strategy: {
    readonly canary?: { readonly steps?: readonly CanaryStep[] };
    readonly blueGreen?: {
      readonly activeService: string;
      readonly previewService?: string;
      readonly autoPromotionEnabled?: boolean;
      readonly autoPromotionSeconds?: number;
      readonly scaleDownDelaySeconds?: number;
    };
  };
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastUpdateTime: string;
  readonly lastTransitionTime: string;
}

export interface RolloutStatus {
  observedGeneration?: string;
  phase?: 'Healthy' | 'Degraded' | 'Progressing' | 'Paused';
  message?: string;
  currentPodHash?: string;
  stableRS?: string;
  currentStepIndex?: number | null;
  pauseConditions?: { reason: string; startTime: string }[] | null;
  controllerPause?: boolean;
  abort?: boolean;
  abortedAt?: string | null;
  promoteFull?: boolean;
  blueGreen?: { activeSelector?: string; previewSelector?: string };
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  conditions?: Condition[];
}

export interface ArgoRollout {
  metadata: Meta;
  spec: RolloutSpec;
  status?: RolloutStatus;
}

export const ROLLOUTS: Kind<ArgoRollout> = {
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'Rollout',
  plural: 'rollouts',
  namespaced: true,
};

/** Label of a Rollout's ReplicaSets and pods, and key of its Services' selectors. */
export const HASH = 'rollouts-pod-template-hash';

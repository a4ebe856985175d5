import type { Clusters } from '../../core/kubernetes/cluster.ts';
import { argoRolloutsRollout } from './argo-rollouts/rollout.ts';
import { blueGreenRollout } from './blue-green/rollout.ts';
import { delegatedRollout } from './delegated/rollout.ts';
import { discoveredRollout } from './discovered/rollout.ts';
import { noneRollout } from './none/rollout.ts';
import { podReloadRollout } from './pod-reload/rollout.ts';
import type { AllowedCommands } from './reload/allowed-commands.ts';
import { reloadRollout } from './reload/rollout.ts';
import { rollingRollout } from './rolling/rollout.ts';
import type { Rollout } from './rollout.ts';

export interface RolloutDependencies {
  /** Commands that policies may run on this worker. */
  readonly allowedCommands: AllowedCommands;
  readonly clusters: Clusters;
}

/** Every rollout there is. A new one is a folder, a line here, and a scenario in the conformance kit. */
export function rollouts(deps: RolloutDependencies): readonly Rollout[] {
  const all: Rollout[] = [
    reloadRollout(deps),
    rollingRollout(deps),
    blueGreenRollout(deps),
    argoRolloutsRollout(deps),
    podReloadRollout(deps),
    delegatedRollout(deps),
    discoveredRollout({ clusters: deps.clusters, rollout: (kind) => all.find((each) => each.kind === kind) }),
    noneRollout,
  ];
  return all;
}

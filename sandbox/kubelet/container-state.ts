import type { PodStatus } from '../controllers/client/wire.ts';

export type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
export type ContainerState = NonNullable<ContainerStatus['state']>;

/** What is known of one container; its status is made from this. */
export interface ContainerFacts {
  readonly name: string;
  readonly image: string;
  state: ContainerState;
  lastState: ContainerState;
  restartCount: number;
  started: boolean;
  ready: boolean;
  containerID: string;
  imageID: string;
}

/** A container before anything happened. */
export function newContainer(name: string, image: string, waiting: string, restartCount = 0): ContainerFacts {
  return {
    name,
    image,
    state: { waiting: { reason: waiting } },
    lastState: {},
    restartCount,
    started: false,
    ready: false,
    containerID: '',
    imageID: '',
  };
}

/** Whether a container that ended is started again. */
export function restarts(policy: string | undefined, isInit: boolean, exitCode: number): boolean {
  if (policy === 'Never') return false;
  if (policy === 'OnFailure' || isInit) return exitCode !== 0;
  return true;
}

/** How long to wait before a container starts again: at first not at all, then longer each time. */
export function restartPauseMs(
  crashes: number,
  { baseMs, maxMs }: { baseMs: number; maxMs: number },
): number {
  return crashes <= 1 ? 0 : Math.min(maxMs, baseMs * 2 ** Math.min(crashes - 2, 30));
}

import { expect, it } from 'vitest';
import { DEPLOYMENTS, REPLICA_SETS } from '../../sandbox/controllers/client/kinds.ts';
import { isReady } from '../../sandbox/controllers/pod-facts.ts';
import type { TestCluster } from './cluster.ts';
import {
  condition,
  createDeployment,
  patchDeployment,
  serverTemplate,
  untilRolledOut,
  variable,
} from './workloads.ts';

const ENDED = ['Succeeded', 'Failed'];

/** What a Deployment promises to its users. */
export function deploymentPromises(the: () => TestCluster): void {
  it('becomes available, and says so', async () => {
    await createDeployment(the(), 'web', {});
    const deployment = await untilRolledOut(the(), 'web');
    expect(condition(deployment, 'Available')).toMatchObject({
      status: 'True',
      reason: 'MinimumReplicasAvailable',
    });
    const progressing = await untilCondition(the(), 'web', 'NewReplicaSetAvailable');
    expect(progressing.status).toBe('True');
    expect(deployment.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('1');
  });

  it('rolls to a new template without leaving the bounds of surge and unavailability', async () => {
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } };
    await createDeployment(the(), 'rolls', { replicas: 4, strategy });
    await untilRolledOut(the(), 'rolls');
    const seen: { alive: number; ready: number }[] = [];
    const stop = the().pods.onChange(() => {
      const pods = podsOf(the(), 'rolls').filter(({ metadata }) => !metadata.deletionTimestamp);
      seen.push({ alive: pods.length, ready: pods.filter(isReady).length });
    });
    await patchDeployment(the(), 'rolls', { template: serverTemplate('rolls', '2') });
    const deployment = await untilRolledOut(the(), 'rolls', 30_000);
    stop();
    expect(Math.max(...seen.map(({ alive }) => alive))).toBeLessThanOrEqual(5);
    expect(Math.min(...seen.map(({ ready }) => ready))).toBeGreaterThanOrEqual(3);
    expect(
      podsOf(the(), 'rolls')
        .filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp)
        .map((pod) => variable(pod, 'VERSION')),
    ).toEqual(Array(4).fill('2'));
    expect(deployment.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2');
  });

  it('keeps the old pods serving when the new ones never get ready, says so, and can be rolled back', async () => {
    await createDeployment(the(), 'stuck', { replicas: 2, progressDeadlineSeconds: 4 });
    await untilRolledOut(the(), 'stuck');
    const before = podsOf(the(), 'stuck').map(({ metadata }) => metadata.name);
    await patchDeployment(the(), 'stuck', { template: serverTemplate('stuck', '2', { ready: false }) });
    const progressing = await untilCondition(the(), 'stuck', 'ProgressDeadlineExceeded');
    expect(progressing.status).toBe('False');
    const ready = podsOf(the(), 'stuck')
      .filter(isReady)
      .map(({ metadata }) => metadata.name);
    expect(ready.sort()).toEqual(before.sort());
    await patchDeployment(the(), 'stuck', { template: { ...serverTemplate('stuck', '1') } });
    const deployment = await untilRolledOut(the(), 'stuck');
    expect(deployment.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
    const after = podsOf(the(), 'stuck').filter(({ metadata }) => !metadata.deletionTimestamp);
    expect(after.map(({ metadata }) => metadata.name)).toEqual(before);
    expect(await untilCondition(the(), 'stuck', 'NewReplicaSetAvailable')).toMatchObject({ status: 'True' });
  });

  it('scales up and down, also to nothing', async () => {
    await createDeployment(the(), 'scales', { replicas: 1 });
    await untilRolledOut(the(), 'scales');
    for (const replicas of [3, 0]) {
      await patchDeployment(the(), 'scales', { replicas });
      await untilRolledOut(the(), 'scales');
      await the().until(`${replicas} pods`, () => podsOf(the(), 'scales').length === replicas || undefined);
    }
  });

  it('Recreate never runs old and new pods together', async () => {
    await createDeployment(the(), 'anew', { replicas: 2, strategy: { type: 'Recreate' } });
    await untilRolledOut(the(), 'anew');
    let mixed = 0;
    const stop = the().pods.onChange(() => {
      // A pod object may outlive its processes for a moment; then its phase says that they ended.
      const alive = podsOf(the(), 'anew').filter(({ status }) => !ENDED.includes(status?.phase ?? ''));
      const versions = new Set(alive.map((pod) => variable(pod, 'VERSION')));
      if (versions.size > 1) mixed += 1;
    });
    await patchDeployment(the(), 'anew', { template: serverTemplate('anew', '2') });
    await the().until('the new version', () => {
      const pods = podsOf(the(), 'anew');
      return (
        (pods.length === 2 && pods.every((pod) => isReady(pod) && variable(pod, 'VERSION') === '2')) ||
        undefined
      );
    });
    stop();
    expect(mixed).toBe(0);
  });

  it('does nothing while paused, and goes on afterwards', async () => {
    await createDeployment(the(), 'paused', { replicas: 1 });
    await untilRolledOut(the(), 'paused');
    await patchDeployment(the(), 'paused', { paused: true, template: serverTemplate('paused', '2') });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(podsOf(the(), 'paused').map((pod) => variable(pod, 'VERSION'))).toEqual(['1']);
    await patchDeployment(the(), 'paused', { paused: false });
    await untilRolledOut(the(), 'paused');
    expect(
      podsOf(the(), 'paused')
        .filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp)
        .map((pod) => variable(pod, 'VERSION')),
    ).toEqual(['2']);
  });

  it('keeps no more old sets than the history limit says', async () => {
    await createDeployment(the(), 'history', { replicas: 1, revisionHistoryLimit: 1 });
    await untilRolledOut(the(), 'history');
    for (const version of ['2', '3']) {
      await patchDeployment(the(), 'history', { template: serverTemplate('history', version) });
      await untilRolledOut(the(), 'history');
    }
    await the().until('old sets to go', async () => {
      const { items } = await the().api.list(REPLICA_SETS);
      const ours = items.filter(({ metadata }) => metadata.labels?.app === 'history');
      return ours.length === 2 || undefined;
    });
  });
}

function podsOf({ pods, namespace }: TestCluster, app: string) {
  return pods
    .list(namespace)
    .filter(({ metadata }) => metadata.labels?.app === app)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function untilCondition({ api, namespace, until }: TestCluster, name: string, reason: string) {
  return until(`${name}: ${reason}`, async () => {
    const deployment = await api.get(DEPLOYMENTS, { name, namespace });
    const progressing = condition(deployment, 'Progressing');
    return progressing?.reason === reason ? progressing : undefined;
  });
}

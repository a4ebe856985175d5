import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppsV1Api, CoreV1Api, KubeConfig, type V1PodSpec } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { type Sandbox, startSandbox } from '../../sandbox/cluster.ts';
import { onSandbox } from './cluster.ts';

describe.runIf(onSandbox)('what people ask of a sandbox that runs pods', () => {
  const namespace = 'default';
  let folder: string;
  let sandbox: Sandbox;
  let core: CoreV1Api;
  let apps: AppsV1Api;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rotor-sandbox-'));
    sandbox = await startSandbox({ folder, log: silentLog });
    const config = new KubeConfig();
    config.loadFromString(sandbox.kubeconfig);
    [core, apps] = [config.makeApiClient(CoreV1Api), config.makeApiClient(AppsV1Api)];
  });
  afterAll(async () => {
    await sandbox.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const run = (name: string, spec: V1PodSpec) =>
    core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
  const phase = async (name: string) => (await core.readNamespacedPod({ namespace, name })).status?.phase;

  it('logs: all, the last lines, and what is said until the container ends', async () => {
    const words = 'echo one; echo two; sleep 1; echo three';
    const shell = { name: 'app', image: 'sandbox/sh', args: ['-c', words] };
    await run('says', { restartPolicy: 'Never', containers: [shell] });
    const log = (options: object = {}) => core.readNamespacedPodLog({ namespace, name: 'says', ...options });
    await expect.poll(() => log().catch(String), { timeout: 10_000 }).toContain('two\n');
    expect(await log({ follow: true })).toBe('one\ntwo\nthree\n');
    await expect.poll(() => phase('says'), { timeout: 10_000 }).toBe('Succeeded');
    expect(await log({ tailLines: 2 })).toBe('two\nthree\n');
    expect(await log({ limitBytes: 5 })).toBe('one\nt');
  });

  it('logs of a container that is none, or never began, are refused in words', async () => {
    const [one, other] = ['a', 'b'].map((name) => ({ name, image: 'no-such-image' }));
    await run('waits', { containers: [one, other] as never });
    const log = (container?: string) =>
      core.readNamespacedPodLog({ namespace, name: 'waits', ...(container ? { container } : {}) });
    await expect(log()).rejects.toThrow(
      'a container name must be specified for pod waits, choose one of: [a b]',
    );
    await expect(log('c')).rejects.toThrow('container c is not valid for pod waits');
    await expect(log('a')).rejects.toThrow('is waiting to start');
  });

  it('exec, port-forward and tokens of service accounts: that there are none, and what to do instead', async () => {
    await expect(
      core.connectPostNamespacedPodExec({ namespace, name: 'says', command: 'ls' }),
    ).rejects.toThrow('the sandbox has no exec; its containers are processes of this machine');
    await expect(core.connectPostNamespacedPodPortforward({ namespace, name: 'says' })).rejects.toThrow(
      'the sandbox has no port-forward; its pods listen on 127.0.0.1',
    );
    await expect(
      core.createNamespacedServiceAccountToken({
        namespace,
        name: 'default',
        body: { spec: { audiences: [] } },
      }),
    ).rejects.toThrow('the sandbox has no tokens of service accounts');
  });

  it('a StatefulSet with claims gets them, and pods that keep what they write there', async () => {
    const labels = { app: 'kept' };
    const shell = {
      name: 'app',
      image: 'sandbox/sh',
      args: ['-c', 'echo x >> data/file; cat data/file; exec sleep 1000'],
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    };
    const body = {
      metadata: { name: 'kept' },
      spec: {
        serviceName: 'kept',
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [shell] } },
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ],
      },
    };
    await apps.createNamespacedStatefulSet({ namespace, body });
    const log = () => core.readNamespacedPodLog({ namespace, name: 'kept-0' }).catch(() => '');
    await expect.poll(log, { timeout: 10_000 }).toBe('x\n');
    await core.deleteNamespacedPod({ namespace, name: 'kept-0', gracePeriodSeconds: 0 });
    await expect.poll(log, { timeout: 10_000 }).toBe('x\nx\n');
    const { items } = await core.listNamespacedPersistentVolumeClaim({ namespace });
    expect(items.map(({ metadata, status }) => [metadata?.name, status?.phase])).toEqual([
      ['data-kept-0', 'Bound'],
    ]);
  });
});

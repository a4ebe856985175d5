import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { V1Deployment, V1Service } from '@kubernetes/client-node';
import { expect } from 'vitest';
import type { Rotation } from '../../ledger/rotations.ts';
import { type TestCluster, type TestNamespace, testCluster } from '../setup/cluster.ts';
import { type Stage, setStage } from './stage.ts';

/** Pods behind a Service that live on what the Secret `db` says, with a worker to rotate it. */
export interface Pods {
  readonly stage: Stage;
  readonly cluster: TestCluster;
  readonly namespace: TestNamespace;
  /** Rotates, with this consumer beside the others and these options of the Secret, to the end. */
  rotate(kind: string, spec: object, secret?: object): Promise<Rotation>;
  /** From now on no pod that starts becomes ready. */
  sicken(): Promise<void>;
  /** Names of the pods that run. */
  running(): Promise<string[]>;
  /** Waits until two pods run, and both report that version. */
  expectAllOn(version: string): Promise<void>;
  /** Every login that the provider refused. */
  refusals(): Promise<readonly string[]>;
  selector(): Promise<object | undefined>;
  deployment(): Promise<V1Deployment>;
  stop(): Promise<void>;
}

/** Starts them, on the credential that the application uses today. */
export async function startPods(): Promise<Pods> {
  const cluster = await testCluster();
  const namespace = await cluster.namespace();
  const reports = await mkdtemp(join(tmpdir(), 'rotor-pods-'));
  const kubeconfig = join(reports, 'kubeconfig');
  await writeFile(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  process.env.KUBECONFIG = kubeconfig;
  const stage = await setStage((ledgerUrl) => ledgerUrl);
  for (const object of objectsOf(stage, reports)) await namespace.create(object);
  const named = (apiVersion: string, kind: string) => ({
    apiVersion,
    kind,
    metadata: { name: 'web', namespace: namespace.name },
  });
  const deployment = () => cluster.api.read<V1Deployment>(named('apps/v1', 'Deployment'));
  await expect.poll(async () => (await deployment()).status?.availableReplicas, { timeout: 30_000 }).toBe(2);

  const running = async (): Promise<string[]> => {
    const { items } = await cluster.api.list('v1', 'Pod', namespace.name);
    return items.flatMap(({ metadata }) => (metadata?.deletionTimestamp ? [] : [metadata?.name ?? '']));
  };
  const served = async (): Promise<ReadonlyMap<string, string>> => {
    const files = (await readdir(reports)).filter((name) => name.endsWith('.served'));
    const entries = files.map(async (file) => {
      const [version = ''] = (await readFile(join(reports, file), 'utf8')).split(' ');
      return [file.replace('.served', ''), version] as const;
    });
    return new Map(await Promise.all(entries));
  };
  return {
    stage,
    cluster,
    namespace,
    rotate: async (kind, spec, secret = { adopt: true }) => {
      const delivered = { name: 'db', namespaces: [namespace.name], data: DATA, ...secret };
      const consumer = { name: 'web', kind, spec: { ...spec, namespace: namespace.name } };
      const id = await stage.startRotation({
        deliver: [...stage.spec.deliver, { kind: 'secret', spec: delivered }],
        consumers: [...stage.spec.consumers, consumer],
      });
      return stage.ended(id);
    },
    sicken: () => writeFile(join(reports, 'ill'), ''),
    running,
    expectAllOn: async (version) => {
      await expect.poll(async () => (await running()).length, { timeout: 60_000 }).toBe(2);
      const reported = async () => {
        const all = await served();
        return (await running()).map((pod) => all.get(pod));
      };
      // A pod may be writing its report in this very moment.
      await expect.poll(reported, { timeout: 10_000 }).toEqual([version, version]);
    },
    refusals: async () => {
      const text = await readFile(join(reports, 'refusals'), 'utf8').catch(() => '');
      return [...text.split('\n').filter((line) => line !== ''), ...stage.client.refusals];
    },
    selector: async () => (await cluster.api.read<V1Service>(named('v1', 'Service'))).spec?.selector,
    deployment,
    stop: async () => {
      await namespace.remove();
      await stage.stop();
      // The last pods may write a report while they end.
      await rm(reports, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

const DATA = {
  host: '{{host}}',
  port: '{{port}}',
  name: '{{dbname}}',
  user: '{{username}}',
  password: '{{password}}',
  version: '{{versionId}}',
};

function objectsOf({ app }: Stage, reports: string) {
  const data = {
    host: '127.0.0.1',
    port: String(app.port),
    name: app.name,
    user: app.initial.username,
    password: app.initial.password,
    version: 'v0',
  };
  const from = (key: string) => ({ valueFrom: { secretKeyRef: { name: 'db', key } } });
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'db' },
      data: Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      ),
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        progressDeadlineSeconds: 6,
        selector: { matchLabels: { app: 'web' } },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 2, maxUnavailable: 0 } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            terminationGracePeriodSeconds: 5,
            containers: [
              {
                name: 'web',
                image: 'sandbox/node',
                command: [fileURLToPath(new URL('pod-client.ts', import.meta.url)), reports],
                env: [
                  { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
                  { name: 'DB_HOST', ...from('host') },
                  { name: 'DB_PORT', ...from('port') },
                  { name: 'DB_NAME', ...from('name') },
                  { name: 'DB_USER', ...from('user') },
                  { name: 'DB_PASSWORD', ...from('password') },
                  { name: 'DB_VERSION', ...from('version') },
                ],
                readinessProbe: {
                  exec: { command: ['/bin/sh', '-c', `test -e "${reports}/$POD.ready"`] },
                  periodSeconds: 1,
                  failureThreshold: 1,
                },
              },
            ],
          },
        },
      },
    },
  ];
}

import { DEPLOYMENTS, SECRETS } from '../../sandbox/controllers/client/kinds.ts';
import type { Deployment, Pod, PodTemplate } from '../../sandbox/controllers/client/wire.ts';
import type { TestCluster } from './cluster.ts';

type Container = NonNullable<PodTemplate['spec']>['containers'][number];

/** A web server that answers as soon as it runs. */
const SERVER = `
const { createServer } = require('node:http');
const server = createServer((request, response) => response.end(process.env.VERSION ?? ''));
server.listen(Number(process.env.ROTOR_SANDBOX_PORT_HTTP), '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
`;

/** A container that runs a piece of JavaScript. */
export function scriptContainer(script: string, more: Partial<Container> = {}): Container {
  return { name: 'main', image: 'sandbox/node', command: ['-e', script], ...more };
}

/** A web server with a readiness probe; with `ready: false`, it never gets ready. */
export function serverTemplate(name: string, version: string, { ready = true } = {}): PodTemplate {
  const path = ready ? '/' : undefined;
  const probe = path ? { httpGet: { path, port: 'http' } } : { exec: { command: ['-e', 'process.exit(1)'] } };
  return {
    metadata: { labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 5,
      containers: [
        scriptContainer(SERVER, {
          env: [{ name: 'VERSION', value: version }],
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { ...probe, periodSeconds: 1, initialDelaySeconds: 0 },
        }),
      ],
    },
  };
}

/** Makes a Deployment of web servers. */
export async function createDeployment(
  { api, namespace }: TestCluster,
  name: string,
  spec: Partial<Deployment['spec']>,
): Promise<Deployment> {
  return api.create(DEPLOYMENTS, {
    metadata: { name, namespace },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: name } },
      template: serverTemplate(name, '1'),
      ...spec,
    },
  });
}

/** Changes a Deployment's spec. */
export function patchDeployment(
  { api, namespace }: TestCluster,
  name: string,
  spec: object,
): Promise<Deployment> {
  return api.patch(DEPLOYMENTS, { name, namespace }, { spec });
}

/** Waits until a Deployment has done all it was told to. */
export function untilRolledOut(cluster: TestCluster, name: string, ms?: number): Promise<Deployment> {
  const { api, namespace, until } = cluster;
  return until(
    `${name} to be rolled out`,
    async () => {
      const deployment = await api.get(DEPLOYMENTS, { name, namespace });
      const { spec, status = {}, metadata } = deployment;
      const { replicas = 1 } = spec;
      const done =
        status.observedGeneration === metadata.generation &&
        (status.updatedReplicas ?? 0) === replicas &&
        (status.replicas ?? 0) === replicas &&
        (status.availableReplicas ?? 0) === replicas;
      return done ? deployment : undefined;
    },
    ms,
  );
}

/** A condition of a Deployment. */
export function condition(deployment: Deployment, type: string) {
  return deployment.status?.conditions?.find((known) => known.type === type);
}

/** Makes or replaces a Secret. */
export async function putSecret(
  { api, namespace }: TestCluster,
  name: string,
  values: Record<string, string>,
): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  const known = await api.get(SECRETS, { name, namespace }).catch(() => undefined);
  if (known) await api.update(SECRETS, { ...known, data });
  else await api.create(SECRETS, { metadata: { name, namespace }, data });
}

/** The value of an environment variable in a pod's first container. */
export function variable(pod: Pod, name: string): string | undefined {
  return pod.spec.containers[0]?.env?.find((entry) => entry.name === name)?.value;
}

import { fileURLToPath } from 'node:url';
import type { Api } from '../controllers/client/api.ts';
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  type Kind,
  NAMESPACES,
  SECRETS,
  SERVICES,
} from '../controllers/client/kinds.ts';
import type { Draft, Stored } from '../controllers/client/wire.ts';
import type { AppName } from './app-names.ts';
import type { Shop } from './shop.ts';

export const NAMESPACE = 'shop';
/** What new pods of `web` start with; chapter three makes a mistake in it. */
export const SETTINGS = 'web-settings';
export const CURRENCY = 'EUR';
/** How long a rollout may make no progress: enough for the busiest machine. */
export const DEADLINE_SECONDS = 60;

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));

/** An application of the shop: a Deployment of this name behind a Service of this name. */
export interface App {
  readonly name: AppName;
  readonly replicas: number;
  /** The Secret that Rotor delivers to it, which is also its policy's name. */
  readonly secret: string;
  readonly strategy: 'rolling' | 'blueGreen';
  /** Its credential is revoked before it has another, so its clients do fail: they are counted apart. */
  readonly apart?: true;
}

export const WEB: App = { name: 'web', replicas: 3, secret: 'web-db', strategy: 'blueGreen' };
export const JOBS: App = { name: 'jobs', replicas: 2, secret: 'jobs-db', strategy: 'rolling' };
export const MAIL: App = { name: 'mail', replicas: 2, secret: 'mail-db', strategy: 'rolling', apart: true };
export const APPS: readonly App[] = [WEB, JOBS, MAIL];

/** Creates one object. */
type Planned = (api: Api) => Promise<unknown>;

/**
 * What somebody would apply for this shop with kubectl: `web` mounts its Secret as files, `jobs` and `mail` have it in their environment.
 * @param reports folder of this machine into which the pods write what they count
 */
export function workloadsFor(shop: Shop, reports: string): readonly Planned[] {
  const within = (name: string) => ({ name, namespace: NAMESPACE });
  const planned =
    <T extends Stored>(kind: Kind<T>, draft: Draft<T>): Planned =>
    (api) =>
      api.create(kind, draft);
  return [
    planned(NAMESPACES, { metadata: { name: NAMESPACE } }),
    planned(CONFIG_MAPS, { metadata: within(SETTINGS), data: { CURRENCY } }),
    ...APPS.flatMap((app) => [
      planned(SECRETS, {
        metadata: within(app.secret),
        type: 'Opaque',
        data: base64({ ...shop[app.name].initial, versionId: 'before-rotor' }),
      }),
      planned(SERVICES, {
        metadata: within(app.name),
        spec: { selector: { app: app.name }, ports: [{ port: 80, targetPort: 'http' }] },
      }),
      planned(DEPLOYMENTS, { metadata: within(app.name), spec: deploymentSpec(app, reports) }),
    ]),
  ];
}

function deploymentSpec({ name, replicas, secret }: App, reports: string): Draft<DeploymentObject>['spec'] {
  const labels = { app: name };
  const mounted = name === 'web';
  return {
    replicas,
    progressDeadlineSeconds: DEADLINE_SECONDS,
    selector: { matchLabels: labels },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels },
      spec: {
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name,
            image: 'sandbox/node',
            command: [CLIENT],
            ports: [{ name: 'http', containerPort: 8080 }],
            env: [
              { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              { name: 'APP', value: name },
              { name: 'REPORTS', value: reports },
              ...(mounted ? [{ name: 'DB_FOLDER', value: 'etc/db' }] : []),
            ],
            envFrom: [
              mounted ? { configMapRef: { name: SETTINGS } } : { prefix: 'DB_', secretRef: { name: secret } },
            ],
            ...(mounted ? { volumeMounts: [{ name: 'db', mountPath: '/etc/db' }] } : {}),
            readinessProbe: {
              httpGet: { port: 'http', path: '/ready' },
              periodSeconds: 1,
              failureThreshold: 2,
            },
          },
        ],
        ...(mounted ? { volumes: [{ name: 'db', secret: { secretName: secret } }] } : {}),
      },
    },
  };
}

type DeploymentObject = NonNullable<(typeof DEPLOYMENTS)['objects']>;

function base64(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
}

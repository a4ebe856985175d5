import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import { connectApi } from '../controllers/client/api.ts';
import { watchKind } from '../controllers/client/cache.ts';
import { CONFIG_MAPS, DEPLOYMENTS, PODS, SECRETS, SERVICES } from '../controllers/client/kinds.ts';
import type { Pod } from '../controllers/client/wire.ts';
import { isActive, isReady } from '../controllers/pod-facts.ts';
import type { Login } from './logins.ts';
import { pictureOf, shortNames, versionOf } from './picture.ts';
import type { Shop } from './shop.ts';
import { APPS, type App, NAMESPACE, SETTINGS, WEB, workloadsFor } from './workloads.ts';

/** The shop's pods in the cluster, as somebody with kubectl sees and handles them. */
export interface Fleet {
  pods(app: App): readonly Pod[];
  picture(app: App): string;
  /** Resolves when an application has exactly the pods it should have, all ready and of one version. */
  untilSettled(app: App): Promise<void>;
  /** What new pods of `web` start with, and how long they may take to become ready. Those that run don't notice. */
  setWeb(currency: string, deadlineSeconds: number): Promise<void>;
  /** What an application's Secret holds now. */
  login(app: App): Promise<Login>;
  /** Ends all pods in order, so that what they counted is final. */
  endPods(): Promise<void>;
  stop(): void;
}

export interface FleetOptions {
  readonly shop: Shop;
  /** Folder for what the pods count. */
  readonly reports: string;
  readonly kubeconfig: string;
  readonly log: Logger;
}

const LOOK_MS = 50;
const PATIENCE_MS = 60_000;

/** Applies the shop's workloads and waits until their pods are ready. */
export async function startFleet({ shop, reports, kubeconfig, log }: FleetOptions): Promise<Fleet> {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const api = connectApi(config);
  const ending = new AbortController();
  const cache = { log, clock: systemClock, signal: ending.signal };
  const [pods, services] = await Promise.all([watchKind(api, PODS, cache), watchKind(api, SERVICES, cache)]);
  const short = new Map(APPS.map((app) => [app, shortNames()]));
  const of = (app: App) => pods.list(NAMESPACE).filter(({ metadata }) => metadata.labels?.app === app.name);
  const until = async (what: () => string, holds: () => boolean | Promise<boolean>) => {
    const deadline = systemClock.monotonicMs() + PATIENCE_MS;
    while (!(await holds())) {
      if (systemClock.monotonicMs() > deadline) throw new Error(`after ${PATIENCE_MS / 1000} s ${what()}`);
      await systemClock.sleep(LOOK_MS);
    }
  };
  const fleet: Fleet = {
    pods: of,
    picture: (app) =>
      pictureOf(
        app,
        of(app),
        services.get(NAMESPACE, app.name)?.spec.selector ?? {},
        short.get(app) ?? String,
      ),
    untilSettled: (app) =>
      until(
        () => `the pods of ${app.name} are not all ready: ${fleet.picture(app)}`,
        () => isSettled(app, of(app)),
      ),
    setWeb: async (currency, progressDeadlineSeconds) => {
      await api.patch(CONFIG_MAPS, within(SETTINGS), { data: { CURRENCY: currency } });
      const { metadata } = await api.patch(DEPLOYMENTS, within(WEB.name), {
        spec: { progressDeadlineSeconds },
      });
      // A rotation waits for nobody: a Deployment that its controller hasn't looked at yet isn't healthy.
      await until(
        () => 'the Deployment of web is not looked at',
        async () => {
          const { status } = await api.get(DEPLOYMENTS, within(WEB.name));
          return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
        },
      );
    },
    login: async (app) => loginOf((await api.get(SECRETS, within(app.secret))).data ?? {}),
    endPods: async () => {
      // All of them: with --keep, somebody may have stopped in the middle of a rotation, with a twin.
      for (const { metadata } of (await api.list(DEPLOYMENTS)).items)
        await api.patch(DEPLOYMENTS, metadata, { spec: { replicas: 0 } });
      await until(
        () => 'pods are still there',
        () => pods.list(NAMESPACE).length === 0,
      );
    },
    stop: () => ending.abort(),
  };
  for (const create of workloadsFor(shop, reports)) await create(api);
  for (const app of APPS) await fleet.untilSettled(app);
  return fleet;
}

function within(name: string) {
  return { name, namespace: NAMESPACE };
}

function loginOf(data: Readonly<Record<string, string>>): Login {
  const of = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  return {
    host: of('host'),
    port: Number(of('port')),
    database: of('dbname'),
    username: of('username'),
    password: of('password'),
    versionId: of('versionId'),
  };
}

function isSettled(app: App, pods: readonly Pod[]): boolean {
  const versions = new Set(pods.map((pod) => versionOf(pod, app)));
  return (
    pods.length === app.replicas && versions.size === 1 && pods.every((pod) => isActive(pod) && isReady(pod))
  );
}

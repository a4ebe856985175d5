import { randomUUID } from 'node:crypto';
import { KubeConfig, type KubernetesObject, KubernetesObjectApi } from '@kubernetes/client-node';
import { systemClock } from '../../core/clock.ts';
import { kubeconfigClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { type JournalRow, readJournal } from '../../ledger/journal.ts';
import { getRotation, type Rotation } from '../../ledger/rotations.ts';
import type { Fault, FaultRequest } from '../../sandbox/api/faults.ts';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { startControllers } from '../../sandbox/controllers/start.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import { runRotation } from '../../workers/saga/engine.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { queuedRotation, type TestLedger } from '../setup/ledger.ts';
import { SIMULATED, World } from '../simulation/world.ts';
import { type Held, type InstantNode, startInstantNode } from './instant-node.ts';

/** An API server with its controllers and a node whose pods start at once. Shared by the shops of a test file. */
export interface Mall {
  readonly api: SandboxApi;
  readonly admin: KubernetesObjectApi;
  readonly node: InstantNode;
  readonly shops: Map<string, Shop>;
  stop(): Promise<void>;
}

/** A request of the workers, by where in the saga it was made. */
export interface Asked extends FaultRequest {
  readonly direction: 'forward' | 'back';
  readonly step: string;
}

/** How a consumer is named in the policy, for the Deployment and Service `web` that read the Secret `db`. */
export type Strategy = (namespace: string) => { readonly kind: string; readonly spec: unknown };

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A request limit that a busy machine keeps and a test can wait for. */
const REQUEST_MS = 3_000;
const PATIENCE_MS = 40_000;

export async function openMall(): Promise<Mall> {
  const api = await startApiServer();
  const config = new KubeConfig();
  config.loadFromString(api.kubeconfig());
  const shops = new Map<string, Shop>();
  const controllers = await startControllers(config, { log: silentLog });
  const node = await startInstantNode(config, (held) => shops.get(held.namespace)?.starts(held) ?? false);
  const fault = (hook: 'before' | 'after') => (request: FaultRequest) => {
    const shop = shops.get(request.user);
    return shop ? shop[hook]({ ...request, ...shop.at }) : 'ok';
  };
  api.faults.before = fault('before');
  api.faults.after = fault('after');
  return {
    api,
    admin: KubernetesObjectApi.makeApiClient(config),
    node,
    shops,
    stop: async () => {
      node.stop();
      await controllers.stop();
      await api.stop();
    },
  };
}

/** One namespace with its workload, a provider and a store in memory, and a user of the cluster who rotates. */
export class Shop {
  /** The namespace, and the name of the workers' user. */
  readonly name = `shop-${randomUUID().slice(0, 13)}`;
  /** The version that its pods run, with the identity that it logs in by. */
  current: { readonly version: string; readonly identity: string } = {
    version: randomUUID(),
    identity: 'blue',
  };
  readonly world: World;
  /** Where in the saga the workers are. */
  at: Pick<Asked, 'direction' | 'step'> = { direction: 'forward', step: 'plan' };
  before: (request: Asked) => Fault = () => 'ok';
  after: (request: Asked) => Fault = () => 'ok';
  /** Another way to the API server than the direct one. */
  server: string | undefined;
  /** Told when the saga comes by; may change the cluster meanwhile. */
  reach: (point: string) => Promise<void> = async () => undefined;
  /** Versions with which no pod becomes ready. */
  ill: (held: Held) => boolean = () => false;
  /** How long the saga asked to be left alone. */
  waits: number[] = [];
  /** Pods that started with what the provider refuses. */
  readonly refusedAtStart: string[] = [];
  readonly #mall: Mall;
  readonly #ledger: TestLedger;
  readonly #served = new Set<string>();
  #id = '';

  private constructor(mall: Mall, ledger: TestLedger) {
    this.#mall = mall;
    this.#ledger = ledger;
    this.world = new World({
      around: async (name, _call, effect) => {
        const result = effect();
        this.#assertServed(`after ${name}`);
        return result;
      },
    });
    this.world.seed(this.current.version);
    // Consumers are the pods, and what is delivered is in the cluster.
    this.world.held = undefined;
    this.world.delivered = undefined;
  }

  /** Opens one; its pod runs with the first credential. @param rights of the workers' user */
  static async open(
    mall: Mall,
    ledger: TestLedger,
    rights: 'all' | 'no rights' = 'all',
    replicas = 1,
  ): Promise<Shop> {
    const shop = new Shop(mall, ledger);
    const { name: namespace } = shop;
    mall.shops.set(namespace, shop);
    mall.api.addUser(namespace, rights === 'all' ? ['system:masters'] : []);
    await mall.admin.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    for (const object of workload(replicas, shop.current.version))
      await mall.admin.create({ ...object, metadata: { ...object.metadata, namespace } });
    const available = async () => {
      const { status } = await shop.read('apps/v1', 'Deployment', 'web');
      return status?.availableReplicas === replicas ? undefined : JSON.stringify(status);
    };
    await until(available);
    return shop;
  }

  /** What a pod of this shop takes at its start. @returns whether it becomes ready */
  starts(held: Held): boolean {
    if (!this.#accepts(held)) this.refusedAtStart.push(`${held.pod} started with ${held.version}`);
    const ready = this.#accepts(held) && !this.ill(held);
    if (ready) this.#served.add(held.pod);
    return ready;
  }

  /** Rotates to the end. @returns the rotation as the ledger has it */
  async rotate(strategy: Strategy, settle: Partial<RotationSpec['settle']> = {}): Promise<Rotation> {
    const data = { version: '{{versionId}}', username: '{{username}}', password: '{{password}}' };
    const secret = { name: 'db', namespaces: [this.name], data, adopt: true };
    const { id } = await queuedRotation(this.#ledger.ledger, {
      ...SIMULATED,
      deliver: [{ kind: 'secret', spec: secret }],
      consumers: [{ name: 'web', ...strategy(this.name) }],
      settle: { ...SIMULATED.settle, ...settle },
    } satisfies RotationSpec);
    this.#id = id;
    this.waits = [];
    this.at = { direction: 'forward', step: 'plan' };
    return this.goOn();
  }

  get id(): string {
    return this.#id;
  }

  /** Turn by turn, without waiting for what it asks to wait. */
  async goOn(): Promise<Rotation> {
    const kubeconfig = this.#mall.api.kubeconfig(this.name);
    const direct = this.#mall.api.url;
    const clusters = kubeconfigClusters(
      (config) => config.loadFromString(kubeconfig.replace(direct, this.server ?? direct)),
      REQUEST_MS,
    );
    const simulated = this.world.registries;
    const registries: Registries = {
      rotators: simulated.rotators.map((rotator) => ({
        ...rotator,
        open: (provider, credential) => {
          const session = rotator.open(provider, credential);
          return {
            ...session,
            usage: async (_call, { identity }) => {
              const users = this.held().filter(({ username }) => username === identity);
              return { sessions: users.length, clients: users.map(({ pod }) => pod) };
            },
          };
        },
      })),
      stores: simulated.stores,
      deliveries: deliveries({ clusters }),
      rollouts: rollouts({ allowedCommands: [], clusters }),
    };
    try {
      return await this.#turnByTurn(registries);
    } finally {
      // Watches of consumers that were found by themselves.
      for (const rollout of registries.rollouts) await rollout.close?.();
    }
  }

  async #turnByTurn(registries: Registries): Promise<Rotation> {
    const since = performance.now();
    for (;;) {
      if (performance.now() - since > PATIENCE_MS)
        throw new Error(`rotation ${this.#id} does not end:\n${await this.told()}`);
      const outcome = await runRotation(
        {
          ledger: this.#ledger.ledger,
          registries,
          fingerprintKey: SecretValue.of('shop'),
          clock: { ...systemClock, sleep: (ms) => systemClock.sleep(Math.min(ms, 15)) },
          random: cryptoRandom,
          log: silentLog,
          faults: { reach: (point) => this.#reached(point) },
          worker: this.name,
          leaseMs: 60_000,
        },
        this.#id,
      );
      if (outcome.state !== 'waiting') return getRotation(this.#ledger.ledger, this.#id);
      this.waits.push(outcome.wakeInMs);
      await systemClock.sleep(Math.min(outcome.wakeInMs, 15));
      await this.#ledger.ledger.query('UPDATE rotor.rotations SET wake_at = NULL WHERE id = $1', [this.#id]);
    }
  }

  /** Gives the workers' user these rights in the namespace, and no others. */
  async grant(rules: readonly Rule[]): Promise<void> {
    const { admin } = this.#mall;
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const metadata = { name: 'workers', namespace: this.name };
    if (await this.read(apiVersion, 'Role', 'workers')) {
      await admin.patch({ apiVersion, kind: 'Role', metadata, rules } as KubernetesObject);
      return;
    }
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'workers' };
    const subjects = [{ kind: 'User', name: this.name, apiGroup: 'rbac.authorization.k8s.io' }];
    await admin.create({ apiVersion, kind: 'Role', metadata, rules } as KubernetesObject);
    await admin.create({
      apiVersion,
      kind: 'RoleBinding',
      metadata,
      roleRef,
      subjects,
    } as KubernetesObject);
  }

  held(): readonly Held[] {
    return this.#mall.node.held(this.name);
  }

  async read(apiVersion: string, kind: string, name: string) {
    const ref = { apiVersion, kind, metadata: { name, namespace: this.name } };
    // biome-ignore lint/suspicious/noExplicitAny: objects of any kind; the tests name the fields they mean.
    return this.#mall.admin.read<any>(ref).catch((error) => {
      if (error.code === 404) return undefined;
      throw error;
    });
  }

  async deployments(): Promise<readonly string[]> {
    const { items } = await this.#mall.admin.list('apps/v1', 'Deployment', this.name);
    return items.map(({ metadata }) => metadata?.name ?? '');
  }

  async journal(): Promise<readonly JournalRow[]> {
    return readJournal(this.#ledger.ledger, this.#id);
  }

  /** The story for a failed expectation. */
  async told(): Promise<string> {
    const rows = await this.journal();
    return rows
      .map(({ direction, step, event, facts }) => `${direction} ${step} ${event} ${JSON.stringify(facts)}`)
      .join('\n');
  }

  async #reached(point: string): Promise<void> {
    const [direction, step, moment] = point.split(':');
    if (moment === 'announced') this.at = { direction: direction as 'forward' | 'back', step: step ?? '' };
    await this.reach(point);
  }

  #accepts({ username, password }: Held): boolean {
    return this.world.accepted.get(username) === password;
  }

  /** Promise 1: what a pod that has served holds is accepted for as long as the pod is there. */
  #assertServed(when: string): void {
    for (const held of this.held())
      if (this.#served.has(held.pod) && !this.#accepts(held))
        this.world.broken.push(`${when}: pod ${held.pod} holds ${held.version}, which the provider refuses`);
  }
}

/** @param missing what is still missing, in words; undefined when nothing is */
async function until(missing: () => Promise<string | undefined>): Promise<void> {
  const since = performance.now();
  for (let what = await missing(); what !== undefined; what = await missing()) {
    if (performance.now() - since > PATIENCE_MS) throw new Error(`waited in vain: ${what}`);
    await systemClock.sleep(15);
  }
}

function workload(
  replicas: number,
  version: string,
): readonly (KubernetesObject & Record<string, unknown>)[] {
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  const selector = { app: 'web' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'db' },
      data: { version: encoded(version), username: encoded('blue'), password: encoded('first') },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { selector, ports: [{ port: 80 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas,
        progressDeadlineSeconds: 600,
        selector: { matchLabels: selector },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: { labels: selector },
          spec: {
            terminationGracePeriodSeconds: 0,
            containers: [{ name: 'web', image: 'sandbox/node', envFrom: [{ secretRef: { name: 'db' } }] }],
          },
        },
      },
    },
  ];
}

import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import type { Cluster, Clusters } from '../../../core/kubernetes/cluster.ts';
import type { Consumer, LogicalName } from '../../kubernetes/consumers/consumer-index.ts';
import {
  type FollowedConsumers,
  type Found,
  type Freshness,
  followConsumers,
} from '../../kubernetes/consumers/followed-consumers.ts';
import { logicalNameOf } from '../../kubernetes/secret-names.ts';
import { budgetWarnings } from '../budgets.ts';
import type { ConsumerProof, MovedWorkload, Rollout, RolloutSession, Survey } from '../rollout.ts';
import { byKind, type Disposition, dispositionOf, movesOf } from './disposition.ts';
import { type DiscoveredSpec, discoveredSpec } from './spec.ts';
import { StartedSession } from './started-session.ts';

export interface DiscoveredDependencies {
  readonly clusters: Clusters;
  /** A rollout of this worker by its kind, for those that move what is found. */
  readonly rollout: (kind: string) => Rollout | undefined;
}

/** Who reads the Secret of any one version reads the one that the policy names. */
const byPolicyName: LogicalName = (_namespace, name) => logicalNameOf(name);

/** Moves whoever reads a Secret, as far as it may be seen: by environment, volume, or to pull images. */
export function discoveredRollout(deps: DiscoveredDependencies): Rollout<DiscoveredSpec> {
  const followed = new Map<Cluster, FollowedConsumers>();
  const follow = (cluster: Cluster) => {
    const known = followed.get(cluster) ?? followConsumers(cluster, byPolicyName);
    followed.set(cluster, known);
    return known;
  };
  return {
    kind: 'discovered',
    spec: discoveredSpec,
    open: (consumer, spec, peers = () => []) => new DiscoveredSession(consumer, spec, deps, follow, peers),
    close: async () => {
      const all = [...followed.values()];
      followed.clear();
      await Promise.all(all.map((each) => each.close()));
    },
  };
}

interface Member {
  readonly found: Consumer;
  readonly disposition: Disposition;
  readonly session: RolloutSession;
}

class DiscoveredSession implements RolloutSession {
  readonly consumer: string;
  readonly #spec: DiscoveredSpec;
  readonly #deps: DiscoveredDependencies;
  readonly #follow: (cluster: Cluster) => FollowedConsumers;
  readonly #peers: () => readonly RolloutSession[];

  constructor(
    consumer: string,
    spec: DiscoveredSpec,
    deps: DiscoveredDependencies,
    follow: (cluster: Cluster) => FollowedConsumers,
    peers: () => readonly RolloutSession[],
  ) {
    this.consumer = consumer;
    this.#spec = spec;
    this.#deps = deps;
    this.#follow = follow;
    this.#peers = peers;
  }

  async plan(call: Call): Promise<void> {
    const { members } = await this.#find(call, 'caught-up');
    for (const { session } of members) await session.plan(call);
  }

  async members(call: Call, freshness: Freshness): Promise<readonly RolloutSession[]> {
    const { members } = await this.#find(call, freshness);
    return members.map(({ session }) => session);
  }

  /** Never asked: its members are. */
  async move(): Promise<ConsumerProof> {
    throw new RotorError('internal.bug', { what: `consumer ${this.consumer} stands for others` });
  }

  async survey(call: Call): Promise<Survey> {
    const { cluster, members, blindSpots } = await this.#find(call, 'followed');
    const operated = members.flatMap(({ found: { kind, namespace, name, managedBy } }) =>
      managedBy && managedBy.kind !== 'CronJob'
        ? [
            `${kind.toLowerCase()} ${namespace}/${name} was made by ${managedBy.kind} ${managedBy.name}, which may undo its rollout`,
          ]
        : [],
    );
    const rolled = members.filter(({ disposition }) => disposition.do === 'roll').map(({ found }) => found);
    return {
      found: members.map(({ found, disposition, session }) => ({
        consumer: session.consumer,
        workload: nameOf(found),
        reads: found.references.map(({ by, where }) => (where === '' ? by : `${by} of ${where}`)),
        moves: movesOf(disposition),
        pods: found.pods.length,
      })),
      warnings: [
        ...(members.length === 0 ? [this.#nobody(cluster)] : []),
        ...blindSpots.map((spot) => `not looked at: ${spot}`),
        ...operated,
        ...(await budgetWarnings(call, cluster, rolled)),
      ],
    };
  }

  #nobody(cluster: Cluster): string {
    const { secretName, namespaces } = this.#spec;
    const where = namespaces.map((namespace) => `${namespace}/${secretName}`).join(', ');
    return `consumer ${this.consumer}: nobody was found who reads secret ${where} in cluster ${cluster.name}; is that its name?`;
  }

  async #find(
    call: Call,
    freshness: Freshness,
  ): Promise<{ cluster: Cluster; members: readonly Member[]; blindSpots: Found['blindSpots'] }> {
    const { secretName: name, namespaces, context, exclude } = this.#spec;
    const cluster = await this.#deps.clusters.open(context);
    const { consumers, blindSpots } = await this.#follow(cluster).of(call, { namespaces, name }, freshness);
    const listed = await this.#listed();
    const members = consumers.flatMap((found): Member[] => {
      if (listed.has(`${cluster.name} ${nameOf(found)}`)) return [];
      const disposition = dispositionOf(found, exclude);
      return disposition ? [{ found, disposition, session: this.#open(cluster, found, disposition) }] : [];
    });
    return { cluster, members, blindSpots };
  }

  /** What other consumers of the policy move: never moved twice. */
  async #listed(): Promise<ReadonlySet<string>> {
    const listed = new Set<string>();
    for (const { moves } of this.#peers()) {
      if (!moves) continue;
      const cluster = await this.#deps.clusters.open(moves.context);
      listed.add(`${cluster.name} ${nameOf(moves)}`);
    }
    return listed;
  }

  #open(cluster: Cluster, found: Consumer, disposition: Disposition): RolloutSession {
    const consumer = `${this.consumer}: ${nameOf(found)}`;
    const { secretName } = this.#spec;
    // What only pulls images has to be moved too when the name changes under which it finds the Secret.
    const moved = disposition.do === 'nothing' ? byKind(found) : disposition;
    const mover = moved && this.#mover(consumer, found, moved);
    if (disposition.do !== 'roll' && disposition.do !== 'argo')
      return new StartedSession(consumer, cluster, found, disposition, secretName, mover);
    if (mover) return mover;
    const why = `this worker knows no rollout for a ${found.kind}`;
    const hint = 'Upgrade the workers, or exclude it with `acknowledged: true` and a reason.';
    return new StartedSession(consumer, cluster, found, { do: 'refuse', why, hint }, secretName);
  }

  /** @returns undefined for what no rollout of this worker moves */
  #mover(
    consumer: string,
    { name, namespace }: Consumer,
    disposition: Disposition,
  ): RolloutSession | undefined {
    const { secretName, context } = this.#spec;
    const common = { namespace, secretName, ...(context === undefined ? {} : { context }) };
    if (disposition.do === 'argo') return this.#by('argoRollouts', consumer, { rollout: name, ...common });
    if (disposition.do !== 'roll') return undefined;
    const field = `${disposition.kind.charAt(0).toLowerCase()}${disposition.kind.slice(1)}`;
    return this.#by('rolling', consumer, { [field]: name, ...common });
  }

  #by(kind: string, consumer: string, spec: object): RolloutSession | undefined {
    const rollout = this.#deps.rollout(kind);
    const parsed = rollout?.spec.safeParse(spec);
    return parsed?.success ? rollout?.open(consumer, parsed.data) : undefined;
  }
}

function nameOf({ kind, namespace, name }: Omit<MovedWorkload, 'context'>): string {
  return `${kind.toLowerCase()} ${namespace}/${name}`;
}

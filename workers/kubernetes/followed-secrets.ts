import type { Call } from '../../core/call.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import type { Cluster } from '../../core/kubernetes/cluster.ts';
import type { WireObject } from '../../core/kubernetes/collections.ts';
import { assertAllowed } from '../../core/kubernetes/permissions.ts';
import { FENCE, MANAGED_BY, VERSION } from './delivered.ts';
import { type Change, type Informer, startInformer } from './informer.ts';

/** What is kept in memory of a delivered Secret: of its data nothing ever reaches this process. */
export interface Delivered {
  readonly version: string;
  readonly fence: string;
  readonly resourceVersion: string;
}

/** Tells when a delivered Secret is changed or taken away, from when a delivery first comes by its namespace. */
export interface FollowedSecrets {
  /**
   * Resolves when they are followed, or when it is known that this isn't allowed: then looks at intervals find what there is
   * to find. Never rejects; nobody needs to wait for it.
   */
  follow(call: Call, cluster: Cluster, namespace: string): Promise<void>;
  close(): Promise<void>;
}

/** Versions are named by us; what somebody wrote in place of one is no name. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @returns undefined for what bears no mark of ours */
export function deliveredOf({ metadata }: WireObject): Delivered | undefined {
  const { [VERSION]: version, [FENCE]: fence = '' } = metadata.annotations ?? {};
  if (version === undefined) return undefined;
  return { version, fence, resourceVersion: metadata.resourceVersion ?? '' };
}

/**
 * The version whose policy should look at what it delivered; undefined when nobody but a rotation did anything: whatever a
 * rotation writes has a fence of its own. A repair has that of the rotation before it, and is looked at once more; so is the
 * second write to a Secret, which begins by taking its fields over.
 */
export function disturbed({
  before,
  after,
}: Pick<Change<Delivered>, 'before' | 'after'>): string | undefined {
  if (!before || !UUID.test(before.version)) return undefined;
  if (after && (after.resourceVersion === before.resourceVersion || after.fence !== before.fence))
    return undefined;
  return before.version;
}

/** @param disturbance told of the version that a Secret carried which somebody has touched; may fail */
export function followSecrets(disturbance: (versionId: string) => Promise<void>): FollowedSecrets {
  return new Following(disturbance);
}

class Following implements FollowedSecrets {
  readonly #disturbance: (versionId: string) => Promise<void>;
  /** One watch for all namespaces of a cluster where that is allowed, else one for each. */
  readonly #informers = new Map<string, Informer<Delivered>>();
  readonly #asked = new Map<string, Promise<boolean>>();

  constructor(disturbance: (versionId: string) => Promise<void>) {
    this.#disturbance = disturbance;
  }

  async follow(call: Call, cluster: Cluster, namespace: string): Promise<void> {
    try {
      const informer = await this.#begin(call, cluster, namespace);
      await informer?.synced(call);
    } catch (thrown) {
      const err = asRotorError(thrown, 'following delivered Secrets');
      call.log.debug({ err, namespace }, 'delivered Secrets are not followed yet');
    }
  }

  async close(): Promise<void> {
    const all = [...this.#informers.values()];
    this.#informers.clear();
    this.#asked.clear();
    await Promise.all(all.map((informer) => informer.stop()));
  }

  async #begin(call: Call, cluster: Cluster, namespace: string): Promise<Informer<Delivered> | undefined> {
    const everywhere = await this.#mayFollow(call, cluster, '');
    if (!everywhere && !(await this.#mayFollow(call, cluster, namespace))) return undefined;
    const scope = everywhere ? undefined : namespace;
    const key = `${cluster.name}/${scope ?? ''}`;
    const known = this.#informers.get(key);
    if (known) return known;
    const of = {
      apiVersion: 'v1',
      kind: 'Secret',
      namespace: scope,
      labels: `${MANAGED_BY}=rotor`,
      metadataOnly: true,
    } as const;
    const { clock, random, log } = call;
    const changed = (change: Change<Delivered>) => {
      const version = disturbed(change);
      if (version === undefined) return;
      log.debug({ secret: change.key, version }, 'a delivered Secret was touched');
      this.#disturbance(version).catch((thrown: unknown) =>
        log.debug({ err: asRotorError(thrown, 'hurrying a look') }, 'the look comes at its own time'),
      );
    };
    const informer = startInformer(cluster, { of, keep: deliveredOf, changed, clock, random, log });
    this.#informers.set(key, informer);
    return informer;
  }

  /** Asked once for a process, unless there was no answer. */
  #mayFollow(call: Call, cluster: Cluster, namespace: string): Promise<boolean> {
    const key = `${cluster.name}/${namespace}`;
    const ask = async () => {
      const secrets = { apiVersion: 'v1', kind: 'Secret', namespace, name: '' };
      try {
        await assertAllowed(call, cluster, 'list', secrets);
        await assertAllowed(call, cluster, 'watch', secrets);
        return true;
      } catch (thrown) {
        if (thrown instanceof RotorError && thrown.code === 'cluster.forbidden') {
          if (namespace !== '')
            call.log.info({ err: thrown, namespace }, 'drift is looked for at intervals only');
          return false;
        }
        this.#asked.delete(key);
        throw thrown;
      }
    };
    const asked = this.#asked.get(key) ?? ask();
    this.#asked.set(key, asked);
    return asked;
  }
}

import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../core/kubernetes/cluster.ts';
import { assertDelivered, type DeliveredSecret } from './delivered.ts';

/**
 * Several credentials of one workload share a rollout without knowing of each other: each rotation first writes at the
 * workload which version it wishes (its template stays as it is, so nothing restarts), and when its window is over,
 * whoever comes first brings all wishes into the template at once.
 */
const PENDING = 'pending.';
const SECRET = 'secret.rotor.dev/';

/** `secret.rotor.dev/<secret>` of a template, and the version that it shall have. */
export interface Wish {
  readonly annotation: string;
  readonly version: string;
  /** When it was first wished. */
  readonly since: Date;
}

export const pendingOf = (annotation: string) => `${PENDING}${annotation}`;

/** What rotations wish of a workload, by its annotations. What can't be read is nobody's wish. */
export function wishesOf(workload: ClusterObject): readonly Wish[] {
  const annotations: Readonly<Record<string, string>> = workload.metadata?.annotations ?? {};
  return Object.entries(annotations).flatMap(([name, value]) => {
    if (!name.startsWith(`${PENDING}${SECRET}`)) return [];
    const at = value.lastIndexOf('@');
    const since = new Date(value.slice(at + 1));
    if (at < 1 || Number.isNaN(since.getTime())) return [];
    return [{ annotation: name.slice(PENDING.length), version: value.slice(0, at), since }];
  });
}

export type Turn =
  /** To be wished: the window begins. */
  | { readonly do: 'wish'; readonly value: string }
  | { readonly do: 'wait'; readonly forMs: number }
  /** The window is over, or there is none: all wishes at once. */
  | { readonly do: 'roll'; readonly others: readonly Wish[] };

/** What a rotation does about the version that it wishes of a workload, `windowMs` long open for others to join. */
export function coalesce(
  wishes: readonly Wish[],
  mine: { readonly annotation: string; readonly version: string },
  windowMs: number,
  now: Date,
): Turn {
  const others = wishes.filter(({ annotation }) => annotation !== mine.annotation);
  if (windowMs === 0) return { do: 'roll', others };
  const wished = wishes.find(
    ({ annotation, version }) => annotation === mine.annotation && version === mine.version,
  );
  if (!wished) return { do: 'wish', value: `${mine.version}@${now.toISOString()}` };
  const left = windowMs - (now.getTime() - wished.since.getTime());
  // A clock that was set back must not hold it up for longer than the window.
  return left > 0 ? { do: 'wait', forMs: Math.min(left, windowMs) } : { do: 'roll', others };
}

/** Of others' wishes those whose Secret carries the version already: pods that start now read it. */
export async function deliverable(
  call: Call,
  cluster: Cluster,
  { namespace }: ObjectRef,
  wishes: readonly Wish[],
): Promise<
  readonly { readonly annotation: string; readonly versionId: string; readonly secret: DeliveredSecret }[]
> {
  const ready: { annotation: string; versionId: string; secret: DeliveredSecret }[] = [];
  for (const { annotation, version: versionId } of wishes) {
    const ref = { namespace, name: annotation.slice(SECRET.length) };
    try {
      ready.push({ annotation, versionId, secret: await assertDelivered(call, cluster, ref, versionId) });
    } catch (error) {
      // Left to its own rotation, which knows what to do about it.
      if (!(error instanceof RotorError) || error.code !== 'delivery.drifted') throw error;
    }
  }
  return ready;
}

import type { IntOrString } from '@kubernetes/client-node';

export interface ScaleFacts {
  readonly name: string;
  /** What the set is told to have. */
  readonly replicas: number;
  /** What it has and can be used. */
  readonly available: number;
  readonly created: number;
}

export interface RolloutFacts {
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly fresh: ScaleFacts;
  readonly old: readonly ScaleFacts[];
}

export interface Scale {
  readonly name: string;
  readonly replicas: number;
}

/** A number or a percentage of `total`. */
export function resolveCount(value: IntOrString | undefined, total: number, round: 'up' | 'down'): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  const exact = (total * Number.parseInt(value, 10)) / 100;
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact);
}

/** The bounds of a rolling update as numbers. Both zero would never end: then one pod may be missing. */
export function resolveBounds(
  replicas: number,
  bounds: { readonly maxSurge?: IntOrString; readonly maxUnavailable?: IntOrString } | undefined,
): { maxSurge: number; maxUnavailable: number } {
  const maxSurge = resolveCount(bounds?.maxSurge ?? '25%', replicas, 'up');
  const maxUnavailable = resolveCount(bounds?.maxUnavailable ?? '25%', replicas, 'down');
  return {
    maxSurge,
    maxUnavailable: maxSurge === 0 && maxUnavailable === 0 ? 1 : Math.min(maxUnavailable, replicas),
  };
}

/** How many replicas the new set may have now, so that no more than the surge exists in all. */
export function freshReplicas(facts: Omit<RolloutFacts, 'maxUnavailable'>): number {
  const { replicas, maxSurge, fresh, old } = facts;
  if (fresh.replicas >= replicas) return replicas;
  const room = replicas + maxSurge - total([fresh, ...old]);
  return room <= 0 ? fresh.replicas : fresh.replicas + Math.min(room, replicas - fresh.replicas);
}

/**
 * The next step of a rolling update. The new set grows as far as the surge allows; only when it can't grow do
 * old ones shrink: first pods that don't work anyway, then working ones while enough stay available.
 */
export function planRollout(facts: RolloutFacts): readonly Scale[] {
  const { replicas, maxUnavailable, fresh, old } = facts;
  const wanted = freshReplicas(facts);
  if (wanted !== fresh.replicas) return [{ name: fresh.name, replicas: wanted }];
  const minAvailable = replicas - maxUnavailable;
  const waitedFor = fresh.replicas - fresh.available;
  const spare = total([fresh, ...old]) - minAvailable - waitedFor;
  if (spare <= 0 || total(old) === 0) return [];
  const sorted = [...old].sort((a, b) => a.created - b.created);
  const cleaned = shrink(sorted, spare, (set) => set.replicas - set.available);
  const available = [fresh, ...old].reduce((sum, set) => sum + set.available, 0);
  const shrunk = shrink(cleaned, available - minAvailable, (set) => set.replicas);
  return shrunk.filter((set, index) => set.replicas !== sorted[index]?.replicas).map(toScale);
}

/** Recreate: every old set goes to zero; the new one may start once no old pod is left. */
export function planRecreate(
  facts: Pick<RolloutFacts, 'replicas' | 'fresh' | 'old'>,
  oldPods: number,
): readonly Scale[] {
  const ends = facts.old.filter(({ replicas }) => replicas > 0).map(({ name }) => ({ name, replicas: 0 }));
  if (ends.length > 0) return ends;
  if (oldPods > 0 || facts.fresh.replicas === facts.replicas) return [];
  return [{ name: facts.fresh.name, replicas: facts.replicas }];
}

/**
 * Spreads a changed number of replicas over sets in the middle of a rollout, each in proportion to its size;
 * what rounding leaves goes to the largest.
 */
export function planProportional(sets: readonly ScaleFacts[], allowed: number): readonly Scale[] {
  const now = total(sets);
  const difference = allowed - now;
  if (difference === 0 || now === 0) return [];
  const sorted = [...sets].sort((a, b) => b.replicas - a.replicas || b.created - a.created);
  let left = difference;
  const scaled = sorted.map((set) => {
    const share = Math.round((set.replicas * allowed) / now) - set.replicas;
    const given = difference > 0 ? Math.min(share, left) : Math.max(share, left);
    left -= given;
    return { ...set, replicas: set.replicas + given };
  });
  const [largest, ...rest] = scaled;
  if (!largest) return [];
  const all = [{ ...largest, replicas: Math.max(0, largest.replicas + left) }, ...rest];
  return all.filter((set, index) => set.replicas !== sorted[index]?.replicas).map(toScale);
}

function shrink(
  sets: readonly ScaleFacts[],
  most: number,
  removable: (set: ScaleFacts) => number,
): ScaleFacts[] {
  let left = Math.max(0, most);
  return sets.map((set) => {
    const fewer = Math.min(left, Math.max(0, removable(set)));
    left -= fewer;
    return { ...set, replicas: set.replicas - fewer };
  });
}

function total(sets: readonly ScaleFacts[]): number {
  return sets.reduce((sum, { replicas }) => sum + replicas, 0);
}

function toScale({ name, replicas }: ScaleFacts): Scale {
  return { name, replicas };
}

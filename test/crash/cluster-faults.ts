import type { Fault } from '../../sandbox/api/faults.ts';
import type { Asked, Shop } from './shop.ts';

/** What an API server, or the way to it, does to one request. */
interface Trouble {
  readonly before?: Fault;
  readonly after?: Fault;
  /** Which requests meet it in life. */
  readonly to: 'reads' | 'writes' | 'all';
  /** What the saga says of it. */
  readonly code: string;
}

const LOST = 'a cut connection, though it was done';

export const TROUBLES: Readonly<Record<string, Trouble>> = {
  'a conflict (409)': { before: { status: 409, reason: 'Conflict' }, to: 'writes', code: 'cluster.conflict' },
  'an expired version (410)': {
    before: { status: 410, reason: 'Expired' },
    to: 'reads',
    code: 'cluster.unavailable',
  },
  'too many requests (429)': {
    before: { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 3 },
    to: 'all',
    code: 'cluster.throttled',
  },
  'an internal error (500)': {
    before: { status: 500, reason: 'InternalError' },
    to: 'all',
    code: 'cluster.unavailable',
  },
  'an overload (503)': {
    before: { status: 503, reason: 'ServiceUnavailable' },
    to: 'all',
    code: 'cluster.unavailable',
  },
  'no answer': { before: 'hang', to: 'all', code: 'call.timeout' },
  'no answer, though it was done': { after: 'hang', to: 'writes', code: 'call.timeout' },
  'a cut connection': { before: 'cut', to: 'all', code: 'cluster.unavailable' },
  [LOST]: { after: 'cut', to: 'writes', code: 'cluster.unavailable' },
};

/** One trouble at one request of a rotation. */
export interface Case {
  readonly trouble: string;
  /** As {@link placeOf} names it. */
  readonly place: string;
}

/** Where a request stands in the saga: `forward rollout: patch deployments web`. Names of pods and twins are left out. */
export function placeOf({ direction, step, verb, resource, name, path }: Asked): string {
  const what = resource === '' ? path : [resource, /^(web|db)$/.test(name) ? name : ''].join(' ').trim();
  return `${direction} ${step}: ${verb} ${what}`;
}

/**
 * Each place meets a trouble, each trouble is met by each verb in each direction, and every write loses its answer once:
 * how a request fails is the same for all objects, but what a step makes of half a change is its own.
 * @param all every trouble at every place
 */
export function casesOf(places: readonly string[], all: boolean): readonly Case[] {
  const groups = Map.groupBy(places, (place) => place.replace(/^(\w+) \w+: (\w+) .*/, '$1 $2'));
  const cases = [...groups.values()].flatMap((among) => {
    const troubles = Object.keys(TROUBLES).filter((trouble) => meets(trouble, among[0] ?? ''));
    if (all) return among.flatMap((place) => troubles.map((trouble) => ({ trouble, place })));
    const count = Math.max(among.length, troubles.length);
    const turns = Array.from({ length: count }, (_, n) => ({
      trouble: troubles[n % troubles.length] ?? '',
      place: among[n % among.length] ?? '',
    }));
    const lost = among.flatMap((place) => (meets(LOST, place) ? [{ trouble: LOST, place }] : []));
    return [...turns.filter(({ trouble }) => trouble !== LOST), ...lost];
  });
  return cases;
}

function meets(trouble: string, place: string): boolean {
  const reads = /: (get|list) /.test(place);
  const to = TROUBLES[trouble]?.to;
  return to === 'all' || to === (reads ? 'reads' : 'writes');
}

/** Lets a shop's workers meet a trouble at a place, `times` times. @returns how often they did */
export function meet(shop: Shop, { trouble, place }: Case, times = 1): () => number {
  const { before = 'ok', after = 'ok' } = TROUBLES[trouble] ?? {};
  let met = 0;
  const hook = (fault: Fault) => (asked: Asked) => {
    if (fault === 'ok' || met >= times || placeOf(asked) !== place) return 'ok' as const;
    met += 1;
    return fault;
  };
  shop.before = hook(before);
  shop.after = hook(after);
  return () => met;
}

/** The object that a message must name: `deployment <namespace>/web`, `pods in it` for lists. */
export function objectIn(place: string): RegExp {
  const [, , verb, resource = ''] = place.split(' ');
  const singular = resource.replace(/s$/, '');
  return resource.startsWith('/') ? /\w/ : new RegExp(`${verb} ${singular}`);
}

import type { Pod } from '../controllers/client/wire.ts';
import { isReady } from '../controllers/pod-facts.ts';
import type { App } from './workloads.ts';

/** Label by which a blue/green rollout tells the twin's pods from the others, and which the Service then selects. */
const SLOT = 'rotor.dev/slot';

/** Short names for versions, in the order in which they were seen: `v1`, `v2`. */
export type ShortNames = (version: string) => string;

export function shortNames(): ShortNames {
  const known = new Map<string, string>();
  return (version) => {
    const short = known.get(version) ?? `v${known.size + 1}`;
    known.set(version, short);
    return short;
  };
}

/** The version with which a pod was started: its template names it. */
export function versionOf({ metadata }: Pod, { secret }: App): string {
  return metadata.annotations?.[`secret.rotor.dev/${secret}`] ?? 'before Rotor';
}

/**
 * One line with the pods of an application: each a sign, by version, the twin's apart, and where the Service leads while
 * there are two to choose from. `●` ready, `○` not ready, `◌` ending.
 */
export function pictureOf(
  app: App,
  pods: readonly Pod[],
  selector: Readonly<Record<string, string>>,
  short: ShortNames,
): string {
  const own = pods.filter(({ metadata }) => metadata.labels?.app === app.name).sort(byAge);
  const groups = new Map<string, Pod[]>();
  for (const pod of own) {
    const version = short(versionOf(pod, app));
    const name = isTwin(pod) ? `green ${version}` : version;
    groups.set(name, [...(groups.get(name) ?? []), pod]);
  }
  const slots = new Set(own.map(slotOf));
  const parts = [...groups].map(([name, members]) => {
    const led = selector[SLOT] !== undefined && members.some((pod) => slotOf(pod) === selector[SLOT]);
    return `${name} ${members.map(signOf).join('')}${led && slots.size > 1 ? ' ◀ Service' : ''}`;
  });
  return `${app.name.padEnd(5)} ${parts.join('   ') || 'no pods'}`;
}

function signOf(pod: Pod): string {
  if (pod.metadata.deletionTimestamp) return '◌';
  return isReady(pod) ? '●' : '○';
}

function slotOf({ metadata }: Pod): string | undefined {
  return metadata.labels?.[SLOT];
}

function isTwin(pod: Pod): boolean {
  return slotOf(pod)?.startsWith('green-') === true;
}

function byAge({ metadata: a }: Pod, { metadata: b }: Pod): number {
  const [one, other] = [a.creationTimestamp + a.name, b.creationTimestamp + b.name];
  return one < other ? -1 : 1;
}

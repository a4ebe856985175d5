import { parseDuration } from '../../../core/duration.ts';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { readingsOf } from '../../kubernetes/reads-secret.ts';

const PREFIX = 'reloader.stakater.com';
const AUTO = `${PREFIX}/auto`;
const TYPED_AUTO = `secret.${PREFIX}/auto`;
const NAMED = `secret.${PREFIX}/reload`;
const EXCLUDED = `secrets.exclude.${PREFIX}/reload`;
const SEARCH = `${PREFIX}/search`;
const MATCH = `${PREFIX}/match`;
const IGNORE = `${PREFIX}/ignore`;
const PAUSE = `deployment.${PREFIX}/pause-period`;

/**
 * Why Stakater Reloader would not restart a workload in time when a Secret changes; undefined when it would. Annotations
 * as its documentation has them (https://github.com/stakater/Reloader), in the order in which it looks at them: those of
 * the pod template count only when the workload itself has none.
 */
export function reloaderObstacle(
  workload: ClusterObject,
  secret: ClusterObject | undefined,
  secretName: string,
  options: { readonly autoReloadAll: boolean; readonly timeoutMs: number },
): string | undefined {
  if (workload.metadata?.annotations?.[IGNORE] === 'true')
    return `Reloader ignores it (its annotation ${IGNORE})`;
  if (secret?.metadata?.annotations?.[IGNORE] === 'true')
    return `Reloader ignores secret ${secretName} (its annotation ${IGNORE})`;
  const own = workload.metadata?.annotations ?? {};
  const pods: Readonly<Record<string, string>> = workload.spec?.template?.metadata?.annotations ?? {};
  const said = [AUTO, TYPED_AUTO, NAMED, SEARCH].some((name) => own[name] !== undefined) ? own : pods;
  const pause = own[PAUSE];
  if (pause !== undefined && (parseDuration(pause) ?? Number.POSITIVE_INFINITY) >= options.timeoutMs)
    return `Reloader pauses it for ${pause} after a restart (${PAUSE}), as long as \`timeout\` or longer`;
  if (listed(own[EXCLUDED], secretName)) return `Reloader leaves secret ${secretName} out (${EXCLUDED})`;
  const referenced = readingsOf(workload, secretName).length > 0;
  const auto =
    isTrue(said[AUTO]) ||
    isTrue(said[TYPED_AUTO]) ||
    (options.autoReloadAll && said[AUTO] === undefined && said[TYPED_AUTO] === undefined);
  const matched = said[SEARCH] === 'true' && secret?.metadata?.annotations?.[MATCH] === 'true';
  if ((auto || matched) && referenced) return undefined;
  if (matchesOne(said[NAMED], secretName)) return undefined;
  if (auto || matched)
    return `it doesn't read secret ${secretName}, so that Reloader won't restart it for it`;
  if (said[SEARCH] === 'true') return `secret ${secretName} lacks the annotation ${MATCH}: "true"`;
  return `it has no annotation that lets Reloader restart it for secret ${secretName}, such as ${AUTO}: "true"`;
}

/** As Go's ParseBool. */
function isTrue(value: string | undefined): boolean {
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value ?? '');
}

function listed(value: string | undefined, name: string): boolean {
  return (value ?? '').split(',').some((each) => each.trim() === name);
}

/**
 * Names in a list. Reloader takes each for a regular expression for the whole name; of those only `.*` is understood here,
 * since whoever may annotate a workload must not be able to keep a worker busy with one.
 */
function matchesOne(value: string | undefined, name: string): boolean {
  return (value ?? '')
    .split(',')
    .map((each) => each.trim())
    .some(
      (each) =>
        each === name || (/^[a-z0-9-]*\.\*[a-z0-9-]*$/.test(each) && new RegExp(`^${each}$`).test(name)),
    );
}

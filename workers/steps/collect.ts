import { asRotorError } from '../../core/errors.ts';
import type { StepContext } from '../saga/context.ts';

/** Versions before the last one whose leftovers are looked for: those that could not be removed in their own time. */
const EARLIER = 3;

/**
 * Lets deliveries that keep an object per version remove those of dead ones. Never fails: what can't be removed now is
 * told, and looked for again by the next rotation and between rotations.
 * @param dead versions that are dead, though the ledger may not say so yet
 */
export async function collectDead(
  context: StepContext,
  dead: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  const removed: string[] = [];
  const kept: string[] = [];
  const collecting = context.parts.deliveries.filter((delivery) => delivery.collect !== undefined);
  if (collecting.length === 0) return {};
  try {
    const earlier = deadVersions(await context.versions()).slice(0, EARLIER);
    const all = [...new Set([...dead, ...earlier])];
    for (const delivery of all.length > 0 ? collecting : []) {
      const collected = await delivery.collect?.(context.call(), all);
      removed.push(...(collected?.removed ?? []));
      kept.push(...(collected?.kept ?? []));
    }
  } catch (thrown) {
    const error = asRotorError(thrown, 'removing what dead versions left');
    context.call().log.warn({ err: error }, 'what dead versions left is not removed yet');
    kept.push(error.message);
  }
  return { ...(removed.length > 0 ? { removed } : {}), ...(kept.length > 0 ? { kept } : {}) };
}

/** Nothing ever goes back to these. Newest first, as they come. */
export function deadVersions(
  versions: readonly { readonly id: string; readonly state: string }[],
): readonly string[] {
  return versions.filter(({ state }) => state === 'revoked' || state === 'discarded').map(({ id }) => id);
}

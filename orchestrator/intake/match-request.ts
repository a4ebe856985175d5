import type { Standing } from '../../ledger/event-requests.ts';
import type { EventAddress } from '../../stores/store.ts';
import type { RotationRequest } from './report.ts';

/** So soon after a rotation an event tells of that very rotation, or of what it has replaced. */
export const ECHO_MS = 600_000;

/**
 * Whether an event is about what a store keeps at an address: the same name, and no part of where it is contradicts. What
 * the store's manifest leaves to the environment (a region, say) can't contradict.
 */
export function isAbout(
  { names, within }: Pick<RotationRequest, 'names' | 'within'>,
  address: EventAddress,
): boolean {
  if (!names.includes(address.name)) return false;
  return Object.entries(address.within).every(
    ([part, value]) => within[part] === undefined || within[part] === value,
  );
}

export type RequestAnswer =
  | { readonly answer: 'waits'; readonly why: string }
  | { readonly answer: 'answered' | 'echo'; readonly why: string; readonly rotation: string | undefined };

/**
 * What becomes of a request: it waits for its rotation (for a moment, where nothing holds it up), or there is one that answers
 * it, or it is the echo of what Rotor itself has done.
 * @param actsAs as whom Rotor goes to that store, where the manifest says so
 */
export function answerRequest(
  { at, by }: Pick<RotationRequest, 'at' | 'by'>,
  { latest, lastRotatedAt, paused, suspended, now }: Standing,
  actsAs: string | undefined,
): RequestAnswer {
  if (by !== undefined && by === actsAs)
    return { answer: 'echo', why: `done by ${by}, which is Rotor itself`, rotation: undefined };
  if (latest?.open)
    return {
      answer: 'answered',
      why: `rotation ${latest.id} is under way (${latest.state})`,
      rotation: latest.id,
    };
  const happened = Math.min(at?.getTime() ?? now.getTime(), now.getTime());
  const rotated = lastRotatedAt?.getTime();
  if (rotated !== undefined && happened <= rotated)
    return { answer: 'answered', why: 'it was rotated since the event', rotation: latest?.id };
  if (rotated !== undefined && happened - rotated < ECHO_MS)
    return {
      answer: 'echo',
      why: 'it was rotated within ten minutes before the event',
      rotation: latest?.id,
    };
  if (suspended || paused)
    return { answer: 'waits', why: `the policy is ${suspended ? 'suspended' : 'paused'}` };
  return { answer: 'waits', why: 'it rotates in the next maintenance window, now where there is none' };
}

import { createHash } from 'node:crypto';
import { RotorError } from '../../core/errors.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { rotateOnce } from '../operations/rotate.ts';
import type { CustomResource } from './custom-resource.ts';
import type { Reading } from './reading.ts';

/** What became of the annotation rotor.dev/rotate-now. */
export interface RotateNow {
  /** The value that was answered last. */
  readonly answered: string | undefined;
  /** Why a new value isn't answered yet. */
  readonly problem?: string;
}

const ACTOR = 'kubernetes';
const LONGEST = 256;

/**
 * Starts the rotation that the annotation asks for, once for each value: the ledger remembers those that were answered, and
 * the status does so even for a ledger that is new. A value that meets an open rotation waits until that has ended.
 */
export async function answerRotateNow(
  orchestrator: Orchestrator,
  resource: CustomResource,
  reading: Reading,
): Promise<RotateNow> {
  const before = resource.status.lastRotateNow;
  const asked = tokenOf(resource);
  if (asked === undefined || asked === before) return { answered: before };
  if (!reading.accepted) {
    return { answered: before, problem: `rotate-now "${asked}" waits until the manifest is accepted` };
  }
  const policy = `${resource.namespace}/${resource.name}`;
  try {
    const { result } = await rotateOnce(orchestrator, policy, `rotate-now:${asked}`, ACTOR);
    if (result === 'busy')
      return { answered: before, problem: `rotate-now "${asked}" waits until this rotation has ended` };
    return { answered: asked };
  } catch (thrown) {
    if (!(thrown instanceof RotorError) || thrown.kind !== 'terminal') throw thrown;
    return { answered: before, problem: `rotate-now "${asked}" is refused: ${thrown.message}` };
  }
}

/** The value of the annotation, or its digest when it is longer than a status should be. */
function tokenOf({ rotateNow }: CustomResource): string | undefined {
  if (rotateNow === undefined || rotateNow.length <= LONGEST) return rotateNow;
  return `sha256:${createHash('sha256').update(rotateNow).digest('hex')}`;
}

import logUpdate from 'log-update';
import { systemClock } from '../../core/clock.ts';
import { formatDuration } from '../../core/duration.ts';
import type { RotationView, StepView } from '../operations/describe.ts';
import type { ApiClient } from './client.ts';

const LOOK_MS = 200;
const ENDED = ['done', 'rolled-back', 'needs-human'];

/** A rotation as JSON carries it: times are text. */
export type RotationJson = Omit<RotationView, 'steps'> & { readonly steps: readonly StepView[] };

/**
 * Follows a rotation until it ends, its steps shown on standard error: live in a terminal, a line each elsewhere.
 * @param timeoutMs gives up watching (the rotation goes on)
 */
export async function follow(
  api: ApiClient,
  id: string,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<RotationJson> {
  const until = systemClock.monotonicMs() + timeoutMs;
  const live = process.stderr.isTTY;
  let printed = 0;
  for (;;) {
    const rotation = await api.get<RotationJson>(`/v1/rotations/${id}`);
    const ended = ENDED.includes(rotation.state);
    if (live) logUpdateTo(rotation);
    else {
      const settled = rotation.steps.filter((step) => step.state === 'done');
      for (const step of settled.slice(printed)) process.stderr.write(`${stepLine(step)}\n`);
      printed = settled.length;
    }
    if (ended || systemClock.monotonicMs() >= until) {
      if (live) logUpdate.done();
      return rotation;
    }
    await systemClock.sleep(LOOK_MS);
  }
}

function logUpdateTo(rotation: RotationJson): void {
  const waiting = rotation.waitReason ? [`  waiting: ${rotation.waitReason}`] : [];
  logUpdate([...rotation.steps.map(stepLine), ...waiting].join('\n'));
}

export function stepLine(step: StepView): string {
  const mark = { done: '✔', failed: '✘', running: '…' }[step.state];
  const name = step.direction === 'back' ? `undo ${step.step}` : step.step;
  const took = step.durationMs === undefined ? '' : formatDuration(step.durationMs);
  const failures = step.failures > 0 ? ` (${step.failures} failed attempts)` : '';
  return `${mark} ${name.padEnd(14)} ${took}${failures}`;
}

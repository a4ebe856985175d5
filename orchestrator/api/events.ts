import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { listRotations } from '../../ledger/rotations.ts';
import { summaryOf } from '../operations/describe.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';

const LOOK_MS = 250;
const KEEP_ALIVE_LOOKS = 60;

/** Sends every change of a rotation's state or step, seen by looking at the ledger four times a second. */
export function streamChanges(context: Context, { ledger, clock }: Orchestrator): Response {
  return streamSSE(context, async (stream) => {
    const seen = new Map<string, string>();
    let first = true;
    let quiet = 0;
    while (!stream.aborted) {
      for (const rotation of [...(await listRotations(ledger, { limit: 100 }))].reverse()) {
        const state = `${rotation.state} ${rotation.direction} ${rotation.step} ${rotation.worker}`;
        if (seen.get(rotation.id) === state) continue;
        seen.set(rotation.id, state);
        // What had ended before somebody looked is no change.
        if (first && rotation.endedAt) continue;
        await stream.writeSSE({ event: 'rotation', data: JSON.stringify(summaryOf(rotation)) });
        quiet = 0;
      }
      first = false;
      quiet += 1;
      if (quiet % KEEP_ALIVE_LOOKS === 0) await stream.writeSSE({ event: 'keep-alive', data: '' });
      await clock.sleep(LOOK_MS);
    }
  });
}

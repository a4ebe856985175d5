import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { Deadline } from '../../../core/retry.ts';
import { secretIn } from '../../../core/secret-file.ts';
import type { EffectKind } from '../outcome.ts';
import { custom } from '../runbook-schema.ts';
import { signed } from '../signed.ts';

/** They say that another time may do. */
const AGAIN: readonly number[] = [408, 425, 429];

/**
 * Calls an address of the operator's, signed as Standard Webhooks have it. The body holds no secret, and is the same at every
 * try; the receiver knows a repetition by `webhook-id`.
 */
export const customStep: EffectKind = {
  kind: 'custom',
  limitMs: (spec) => custom.parse(spec).http.timeout,

  async perform({ orchestrator: { clock }, target, step, note }) {
    const { url, secretFrom, timeout } = custom.parse(step.spec).http;
    const secret = await secretIn(secretFrom.file, 'the secret of a custom step');
    const body = JSON.stringify({
      type: 'rotor.incident.custom',
      timestamp: note.at,
      data: { incident: target.incidentId, policy: target.policy, moment: note.moment, step: step.ordinal },
    });
    const headers = signed(step.id, Math.floor(clock.now().getTime() / 1_000), body, secret);
    const { status } = await httpRequest(Deadline.after(timeout, clock), {
      url,
      method: 'POST',
      headers,
      body,
    });
    if (status >= 200 && status < 300) return { done: { status } };
    const { host } = new URL(url);
    if (status >= 400 && status < 500 && !AGAIN.includes(status))
      return { failed: `${host} refuses the call with ${status}` };
    throw new RotorError('provider.unreachable', { what: `${host} answers ${status} to a custom step` });
  },
};

import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { Deadline } from '../../../core/retry.ts';
import { secretIn } from '../../../core/secret-file.ts';
import type { EffectKind, Outcome, Performing } from '../outcome.ts';
import { type CustomHttp, custom, customFunction, customHttp, customVault } from '../runbook-schema.ts';
import { signed } from '../signed.ts';
import { invoke } from './invoke.ts';
import { atVault } from './vault.ts';

/** They say that another time may do. */
const AGAIN: readonly number[] = [408, 425, 429];
/** A function may say that it won't, and why, in so many characters. */
const MAX_WORDS = 200;

/**
 * Calls an address or a function of the operator's. What is said holds no secret, and is the same at every try; the receiver
 * knows a repetition by `webhook-id`, a function by `id`.
 */
export const customStep: EffectKind = {
  kind: 'custom',
  limitMs: (written) => {
    const { kind, spec } = custom.parse(written);
    if (kind === 'http') return customHttp.parse(spec).timeout;
    return (kind === 'vault' ? customVault : customFunction).parse(spec).timeout;
  },

  async perform(performing) {
    const { kind, spec } = custom.parse(performing.step.spec);
    if (kind === 'http') return post(performing, customHttp.parse(spec));
    if (kind === 'vault') return atVault(performing, customVault.parse(spec));
    return call(performing, spec);
  },
};

function told({ target, step, note }: Performing): object {
  return {
    type: 'rotor.incident.custom',
    timestamp: note.at,
    data: { incident: target.incidentId, policy: target.policy, moment: note.moment, step: step.ordinal },
  };
}

/** Signed as Standard Webhooks have it. */
async function post(performing: Performing, { url, secretFrom, timeout }: CustomHttp): Promise<Outcome> {
  const { orchestrator, step } = performing;
  const { clock } = orchestrator;
  const secret = await secretIn(secretFrom.file, 'the secret of a custom step');
  const body = JSON.stringify(told(performing));
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
}

/** A function that throws is called again; one that answers `{"refused": "why"}` is not. */
async function call(performing: Performing, written: unknown): Promise<Outcome> {
  const { orchestrator, step } = performing;
  const spec = customFunction.parse(written);
  const event = JSON.stringify({ id: step.id, ...told(performing) });
  const answer = await invoke(Deadline.after(spec.timeout, orchestrator.clock), spec, event);
  if ('refused' in answer) return { failed: answer.refused };
  if (answer.error !== undefined)
    throw new RotorError('provider.unreachable', {
      what: `function ${spec.name} failed with ${answer.error}`,
      hint: 'Look at the log of the function; the step is repeated with the same `id`.',
    });
  const why = wordsOf(answer.payload);
  return why === undefined ? { done: { function: spec.name } } : { failed: `function ${spec.name}: ${why}` };
}

function wordsOf(payload: string): string | undefined {
  try {
    const { refused } = (JSON.parse(payload) ?? {}) as { readonly refused?: unknown };
    if (refused === undefined) return undefined;
    const words =
      typeof refused === 'string'
        ? refused.slice(0, MAX_WORDS).replace(/[^\p{L}\p{N}\p{P}\p{Zs}]/gu, ' ')
        : '';
    return words.trim() === '' ? 'it refuses' : words;
  } catch {
    // It may answer whatever it likes.
    return undefined;
  }
}

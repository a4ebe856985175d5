import { randomUUID } from 'node:crypto';
import { RotorError } from '../../core/errors.ts';
import { type HttpAnswer, httpRequest } from '../../core/http.ts';
import { secretIn } from '../../core/secret-file.ts';
import { errorOf, failureOf, type Invoker, type StepEvent, type StepOutcome } from './invoke.ts';
import type { HttpSpec } from './spec.ts';

/** What a gateway says when it isn't the function that answers. */
const NOT_THE_FUNCTION = new Set([502, 503, 504]);
/** Longest waiting time of a `Retry-After` that is heeded. */
const LONGEST_WAIT_S = 600;

/** Header that names the API of the very worker that invokes: another worker knows nothing of the invocation. */
const SECRETS_MANAGER = 'rotor-secrets-manager-endpoint';

/** A function behind an address: the event as JSON (Cloud Run, OpenFaaS), or as a CloudEvent in binary form (Knative). */
export function httpInvoker({ url, form, tokenFile }: HttpSpec): Invoker {
  const name = `function ${new URL(url).host}`;
  return {
    name,
    async invoke(call, event, lent): Promise<StepOutcome> {
      const token = tokenFile === undefined ? undefined : await secretIn(tokenFile, name);
      const answer = await httpRequest(call.deadline, {
        url,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(form === 'cloudevents' ? attributes(event) : {}),
          ...(lent ? { [SECRETS_MANAGER]: lent.endpoint } : {}),
          ...(token ? { authorization: `Bearer ${token.reveal()}` } : {}),
        },
        body: JSON.stringify(event),
      });
      return outcomeOf(`${event.Step} of ${name}`, answer);
    },
  };
}

function attributes({ Step }: StepEvent): Record<string, string> {
  return {
    'ce-specversion': '1.0',
    'ce-id': randomUUID(),
    'ce-source': '/rotor',
    'ce-type': `dev.rotor.rotation.${Step}`,
  };
}

function outcomeOf(what: string, { status, headers, body }: HttpAnswer): StepOutcome {
  if (status >= 200 && status < 300) {
    // As Lambda and what speaks like it: the status is the invocation's, and how the function ended is in the answer.
    const told = errorOf(body);
    if (told) return failureOf(what, told);
    const failed = headers.has('x-amz-function-error');
    return failed ? { ok: false, errorType: 'Error', errorMessage: '' } : { ok: true };
  }
  if (status === 429) {
    const retryAfterMs = waitOf(headers.get('retry-after'));
    throw new RotorError('provider.throttled', {
      what: `${what}: too many invocations (status 429)`,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  if (status === 401 || status === 403) {
    throw new RotorError('provider.permission-denied', {
      what: `${what}: Rotor may not call it (status ${status})`,
      hint: 'Put a valid token into `tokenFile`; on Cloud Run grant run.routes.invoke (roles/run.invoker).',
    });
  }
  if (status === 404 || status === 405 || (status >= 300 && status < 400)) {
    throw new RotorError('provider.unsupported', {
      what: `${what}: there is no function at this address (status ${status})`,
      hint: 'Correct `url` of the provider; redirects are not followed.',
    });
  }
  if (NOT_THE_FUNCTION.has(status)) {
    throw new RotorError('provider.connection-lost', {
      what: `${what}: no answer of the function itself (status ${status})`,
    });
  }
  const told = errorOf(body);
  return {
    ok: false,
    errorType: told?.errorType ?? `status ${status}`,
    errorMessage: told?.errorMessage ?? '',
  };
}

/** @returns milliseconds; undefined where it says nothing usable */
function waitOf(header: string | null): number | undefined {
  const seconds = /^\d+$/.test(header ?? '') ? Number(header) : undefined;
  return seconds === undefined ? undefined : Math.min(seconds, LONGEST_WAIT_S) * 1_000;
}

import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';

/** What the host of Azure Functions sends to a custom handler ("Azure Functions custom handlers", request payload). */
const schema = z.object({
  Data: z.record(z.string(), z.unknown()),
  Metadata: z.record(z.string(), z.unknown()).optional(),
});

export interface AzureInvocation {
  /** JSON text. */
  readonly event: string;
  /** An HTTP trigger, whose caller wants an answer in the output binding `res`. */
  readonly isHttp: boolean;
}

/**
 * The event in a custom handler's request: the one binding in `Data`, or that which looks like an event of a rotation. Texts
 * hold JSON (queues, HTTP bodies); Azure quotes some of them twice.
 * @throws RotorError `function.invalid-event`
 */
export function eventOfAzure(body: string): AzureInvocation {
  const parsed = schema.safeParse(unpacked(body));
  if (!parsed.success) throw invalid('it is no {"Data": ..., "Metadata": ...}');
  const bindings = Object.values(parsed.data.Data).map((value) => unpacked(value));
  for (const binding of bindings) {
    const request = isObject(binding) && 'Method' in binding && 'Url' in binding;
    const event = request ? unpacked(binding.Body) : binding;
    if (isObject(event) && ('Step' in event || bindings.length === 1))
      return { event: JSON.stringify(event), isHttp: request };
  }
  throw invalid('no binding in "Data" holds a JSON object with "Step"');
}

export interface AzureAnswer {
  readonly Outputs: Readonly<Record<string, unknown>>;
  readonly Logs: readonly string[];
  readonly ReturnValue: unknown;
}

/** @param logs what the function wrote; @param status of the answer to an HTTP trigger's caller */
export function azureAnswer(isHttp: boolean, value: unknown, logs: string, status: number): AzureAnswer {
  const body = JSON.stringify(value);
  return {
    Outputs: isHttp
      ? { res: { statusCode: status, body, headers: { 'Content-Type': 'application/json' } } }
      : {},
    Logs: logs.split('\n').filter(Boolean),
    ReturnValue: value,
  };
}

/** At most twice: what is still text then is meant as text. */
function unpacked(value: unknown, times = 2): unknown {
  if (typeof value !== 'string' || times === 0) return value;
  try {
    return unpacked(JSON.parse(value), times - 1);
  } catch {
    return value;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(why: string): RotorError {
  return new RotorError('function.invalid-event', { what: `this is no request to a custom handler: ${why}` });
}

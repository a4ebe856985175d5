import { lambdaInvoke } from '../../../core/aws/lambda.ts';
import { RotorError } from '../../../core/errors.ts';
import { httpRequest } from '../../../core/http.ts';
import { jsonObjectIn } from '../../../core/json.ts';
import { rateLimitMs } from '../../../core/rate-limit.ts';
import type { Deadline } from '../../../core/retry.ts';
import { SecretValue } from '../../../core/secret.ts';
import { secretIn } from '../../../core/secret-file.ts';
import type { CustomFunction } from '../runbook-schema.ts';

/** What became of a call: refused for good, in words; or answered by the function, which may have failed (`error`). */
export type Invoked =
  | { readonly refused: string }
  | { readonly payload: string; readonly error?: string | undefined };

/** Lambda's own limit of an answer. */
const MAX_BYTES = 6 * 1024 * 1024;

/** They pass by themselves, or with the next credentials. All of 5xx does too. */
const PASSING = [
  'TooManyRequestsException',
  'ResourceConflictException',
  'EC2ThrottledException',
  'ExpiredTokenException',
  'InvalidSignatureException',
];

/** What is to be done about the others (docs.aws.amazon.com/lambda/latest/api, "Invoke"). */
const WORDS: Readonly<Record<string, (name: string) => string>> = {
  ResourceNotFoundException: (name) => `there is no function ${name}`,
  AccessDeniedException: (name) => `function ${name} may not be called: a function host asks for its token`,
  UnrecognizedClientException: () => 'the function host does not know who calls',
  RequestTooLargeException: (name) => `function ${name} does not take what a step says: it is too large`,
};

/**
 * Calls a function once and waits for its answer, by the Invoke operation of Lambda's API: at a host of `rotor functions serve`,
 * or at AWS. A function that fails is an answer too (`X-Amz-Function-Error`); of what it says only the type of its error is kept.
 * @param event JSON
 * @throws RotorError `provider.unreachable`, `provider.throttled`, `call.timeout`: another time may do
 */
export async function invoke(deadline: Deadline, spec: CustomFunction, event: string): Promise<Invoked> {
  return spec.host ? atHost(deadline, spec, spec.host, event) : atAws(deadline, spec, event);
}

async function atHost(
  deadline: Deadline,
  { name }: CustomFunction,
  { url, tokenFrom }: NonNullable<CustomFunction['host']>,
  event: string,
): Promise<Invoked> {
  const token = tokenFrom && (await secretIn(tokenFrom.file, 'the token of a function host'));
  const answer = await httpRequest(deadline, {
    url: `${url.replace(/\/$/, '')}/2015-03-31/functions/${encodeURIComponent(name)}/invocations`,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: SecretValue.of(`Bearer ${token.reveal()}`) } : {}),
    },
    body: event,
    maxBytes: MAX_BYTES,
  });
  const { status, headers, body } = answer;
  if (status === 200)
    return { payload: body, error: headers.has('x-amz-function-error') ? errorType(body) : undefined };
  const type = /^\w{1,64}/.exec(headers.get('x-amzn-errortype') ?? '')?.[0] ?? `status ${status}`;
  return refusal(name, new URL(url).host, type, status, rateLimitMs(answer, new Date()));
}

async function atAws(
  deadline: Deadline,
  { name, aws = {}, region }: CustomFunction,
  event: string,
): Promise<Invoked> {
  const lambda = { name, aws: { ...aws, ...(region ? { region } : {}) } };
  try {
    const { payload, failed } = await lambdaInvoke(deadline, `function ${name}`, lambda, event);
    return { payload, error: failed ? errorType(payload) : undefined };
  } catch (thrown) {
    if (thrown instanceof RotorError && thrown.kind === 'terminal') return { refused: thrown.message };
    throw thrown;
  }
}

function refusal(
  name: string,
  where: string,
  type: string,
  status: number,
  retryAfterMs: number | undefined,
): Invoked {
  if (status >= 500 || status === 429 || status === 408 || PASSING.includes(type))
    throw new RotorError(status === 429 ? 'provider.throttled' : 'provider.unreachable', {
      what: `${where} answers ${type} to calling function ${name}`,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  return { refused: `${WORDS[type]?.(name) ?? `function ${name} can't be called`} (${where}: ${type})` };
}

/** What a function threw: its name, never its message, which may quote anything. */
function errorType(payload: string): string {
  const type = jsonObjectIn(payload)?.errorType;
  return typeof type === 'string' && /^[\w.]{1,80}$/.test(type) ? type : 'an error';
}

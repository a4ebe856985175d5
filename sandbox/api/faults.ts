import type { ServerResponse } from 'node:http';
import type { ApiRequest } from './request.ts';
import { ApiError } from './status.ts';

/** What a fault hook sees of a request. */
export interface FaultRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly user: string;
  readonly verb: string;
  /** Empty for paths without a resource, as are the four below. */
  readonly group: string;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

/** `ok` lets the request through; `hang` never answers; `cut` breaks the connection without an answer. */
export type Fault =
  | 'ok'
  | 'hang'
  | 'cut'
  | {
      readonly status: number;
      readonly reason: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    };

export interface Faults {
  /** Asked before each request is done. */
  before: (request: FaultRequest) => Fault;
  /** Asked when a request has been done, before its answer is sent: a cut or hang here loses the answer only. */
  after: (request: FaultRequest) => Fault;
}

export function noFaults(): Faults {
  return { before: () => 'ok', after: () => 'ok' };
}

export function faultRequest(request: ApiRequest, user: string): FaultRequest {
  const { method, path, query, verb, target } = request;
  const { namespace = '', name = '', subresource = '' } = target ?? {};
  const group = target?.type.group ?? '';
  return {
    method,
    path,
    query,
    user,
    verb,
    group,
    resource: target?.type.plural ?? '',
    namespace,
    name,
    subresource,
  };
}

/**
 * Plays a fault. Returns true when the request is over with it.
 * @throws ApiError when the fault is a refusal
 */
export function play(fault: Fault, response: ServerResponse): boolean {
  if (fault === 'ok') return false;
  if (fault === 'hang') return true;
  if (fault === 'cut') {
    response.destroy();
    return true;
  }
  const { status, reason, retryAfterSeconds } = fault;
  const message = fault.message ?? `${reason}, as the test wants it`;
  throw new ApiError(
    status,
    reason,
    message,
    retryAfterSeconds === undefined ? undefined : { retryAfterSeconds },
  );
}

import type { JsonObject } from './json.ts';

/** One reason why an object is refused, as in `details.causes` of a Status. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Partial<Cause>[];
  readonly retryAfterSeconds?: number;
}

/** A refusal of the API, thrown anywhere below the HTTP layer and sent as a Status object. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The Status object of the answer, and of an ERROR event in a watch. */
  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details as JsonObject }),
      code: this.code,
    };
  }
}

export interface Named {
  readonly group: string;
  readonly plural: string;
}

/** `secrets "x"`, `deployments.apps "y"`: how messages name an object. */
export function qualified(type: Named): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`;
}

function detailsOf(type: Named, name: string): StatusDetails {
  return { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.plural };
}

export function notFound(type: Named, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(type)} "${name}" not found`, detailsOf(type, name));
}

export function alreadyExists(type: Named, name: string): ApiError {
  const message = `${qualified(type)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, detailsOf(type, name));
}

export function conflict(type: Named, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(type)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, detailsOf(type, name));
}

export const STALE =
  'the object has been modified; please apply your changes to the latest version and try again';

/** The 422 with all its causes; the message joins them as the real server does. */
export function invalid(
  type: { group: string; kind: string },
  name: string,
  causes: readonly Cause[],
): ApiError {
  const kind = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const lines = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${list}`, {
    ...(name === '' ? {} : { name }),
    ...(type.group === '' ? {} : { group: type.group }),
    kind: type.kind,
    causes,
  });
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

/** The 404 of a path that no resource answers. */
export function noSuchPath(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function methodNotAllowed(): ApiError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiError(405, 'MethodNotAllowed', message, {});
}

/** For what a real server has and this one hasn't. */
export function notInSandbox(what: string): ApiError {
  return new ApiError(405, 'MethodNotAllowed', `the sandbox has ${what}`, {});
}

/** The 410 of a watch or a continued list whose version is no longer kept. */
export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

const show = (value: unknown) => (typeof value === 'string' ? JSON.stringify(value) : goText(value));

function goText(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export const required = (field: string, why = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: why === '' ? 'Required value' : `Required value: ${why}`,
  field,
});

export const invalidValue = (field: string, value: unknown, why: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${show(value)}: ${why}`,
  field,
});

export const forbiddenField = (field: string, why: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${why}`,
  field,
});

export const unsupported = (field: string, value: unknown, allowed: readonly string[]): Cause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${show(value)}: supported values: ${allowed.map((v) => JSON.stringify(v)).join(', ')}`,
  field,
});

export const duplicate = (field: string, value: unknown): Cause => ({
  reason: 'FieldValueDuplicate',
  message: `Duplicate value: ${show(value)}`,
  field,
});

export const tooLong = (field: string, most: number): Cause => ({
  reason: 'FieldValueTooLong',
  message: `Too long: may not be more than ${most} bytes`,
  field,
});

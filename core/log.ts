import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

/** Field names that never belong in a log line. The first line of defence is SecretValue; this is the second. */
const REDACTED_FIELDS = [
  'password',
  'secret',
  'token',
  'authorization',
  'document',
  'verifier',
  'key',
  'pending',
];

export interface LogOptions {
  readonly level?: string;
  /** Where lines go; standard error by default, since standard output belongs to results. */
  readonly destination?: DestinationStream;
}

/** Structured log: one JSON object a line. Errors are written as code, message and hint, without their causes. */
export function createLog(name: string, options: LogOptions = {}): Logger {
  return pino(
    {
      name,
      level: options.level ?? 'info',
      redact: {
        paths: REDACTED_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: '[redacted]',
      },
      serializers: { err: serializeError, error: serializeError },
    },
    options.destination ?? pino.destination({ dest: 2, sync: true }),
  );
}

/** A log that goes nowhere, for tests and one-shot commands. */
export const silentLog: Logger = pino({ level: 'silent' });

/** Foreign errors quote what they were given (SQL, bodies, headers): only their name and code are kept. */
function serializeError(error: unknown): object {
  if (typeof error !== 'object' || error === null) return { name: typeof error };
  if ('toJSON' in error && typeof error.toJSON === 'function') return error.toJSON();
  const { name, code } = error as { name?: unknown; code?: unknown };
  return { name: String(name ?? 'Error'), ...(typeof code === 'string' ? { code } : {}) };
}

import { foreignCode, RotorError } from './errors.ts';
import type { Deadline } from './retry.ts';
import { SecretValue } from './secret.ts';

export interface HttpRequest {
  /** `http:` or `https:`, without user and password in it. */
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | SecretValue>>;
  readonly body?: string | SecretValue;
  /** Longest answer that is read, in bytes. */
  readonly maxBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The whole body as text. May hold anything: never for messages or logs. */
  readonly body: string;
}

const MAX_BYTES = 64 * 1024;

/** Failures before a byte of the request was sent (Node's and undici's codes). */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ENOENT',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const TLS = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_SSL|^ERR_TLS/;

/**
 * The one HTTP client. Follows no redirect (an answer of 3xx is returned as it is), reads no more than
 * `maxBytes`, and ends with the deadline. Any status is an answer; only its absence is an error.
 * @throws RotorError `provider.unreachable` and `provider.tls` (nothing was sent), `provider.connection-lost`
 *   and `call.timeout` (the other side may have acted)
 */
export async function httpRequest(deadline: Deadline, request: HttpRequest): Promise<HttpAnswer> {
  const method = request.method ?? 'GET';
  // Paths and queries may be credentials themselves (webhook addresses): messages name the host only.
  const doing = `${method} ${originOf(request.url)}`;
  return deadline.run(doing, async (signal) => {
    try {
      const response = await fetch(request.url, {
        method,
        // One connection for one request: a pooled one that the server has closed would look like a lost answer.
        headers: { ...revealed(request.headers ?? {}), connection: 'close' },
        ...(request.body === undefined ? {} : { body: plain(request.body) }),
        redirect: 'manual',
        signal,
      });
      const body = await readLimited(response, request.maxBytes ?? MAX_BYTES, doing);
      return { status: response.status, headers: response.headers, body };
    } catch (error) {
      signal.throwIfAborted();
      throw explained(error, doing);
    }
  });
}

async function readLimited(response: Response, maxBytes: number, doing: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the stream and closes the connection.
    if (size > maxBytes) {
      throw new RotorError('provider.connection-lost', {
        what: `${doing}: the answer (status ${response.status}) is longer than ${maxBytes} bytes`,
        hint: 'Check that the address belongs to the service it is meant for.',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function explained(error: unknown, doing: string): RotorError {
  if (error instanceof RotorError) return error;
  if (error instanceof Error && error.cause instanceof Error && error.cause.message === 'bad port') {
    return new RotorError('config.invalid', {
      what: `${doing}: fetch never connects to this port (the "bad ports" of the Fetch standard)`,
      hint: 'Let the service listen on another port.',
    });
  }
  const code = deepCode(error) ?? 'no code';
  // The cause keeps Node's message, which the log leaves out: it can quote header values.
  if (UNREACHABLE.has(code)) {
    return new RotorError('provider.unreachable', {
      what: `${doing}: no connection (${code})`,
      cause: error,
    });
  }
  if (TLS.test(code)) {
    return new RotorError('provider.tls', {
      what: `${doing}: TLS failed (${code})`,
      hint: 'Check the certificate of the host; NODE_EXTRA_CA_CERTS names further authorities.',
      cause: error,
    });
  }
  return new RotorError('provider.connection-lost', {
    what: `${doing}: the connection broke (${code})`,
    cause: error,
  });
}

/** fetch throws a TypeError without a code; the reason is its cause, or the cause's. */
function deepCode(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    const code = foreignCode(at);
    if (code !== undefined) return code;
  }
  return undefined;
}

function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const usable =
    parsed && ['http:', 'https:'].includes(parsed.protocol) && !parsed.username && !parsed.password;
  if (usable) return parsed.origin;
  throw new RotorError('config.invalid', {
    what: 'an address is not an http or https URL, or holds a user or password',
  });
}

function revealed(headers: Readonly<Record<string, string | SecretValue>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, plain(value)]));
}

function plain(value: string | SecretValue): string {
  return value instanceof SecretValue ? value.reveal() : value;
}

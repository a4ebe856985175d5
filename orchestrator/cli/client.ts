import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, readConfig } from '../../core/config.ts';
import { ERROR_CODES, type ErrorCode } from '../../core/error-codes.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';

/** What the command line asks of the API. */
export interface ApiClient {
  readonly url: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown, type?: string): Promise<T>;
  delete<T>(path: string): Promise<T>;
  text(path: string): Promise<string>;
}

/** Finds API and token by the configuration; on one machine the token is in ROTOR_HOME/admin-token. */
export function apiClient(config: Config = readConfig(process.env)): ApiClient {
  const localToken = join(config.home, 'admin-token');
  const token =
    config.token?.reveal() ?? (existsSync(localToken) ? readFileSync(localToken, 'utf8').trim() : undefined);
  const base = config.url.replace(/\/$/, '');
  const send = async (method: string, path: string, body?: unknown, type = 'application/json') => {
    const response = await fetch(`${base}${path}`, {
      method,
      redirect: 'error',
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }).catch((error) => {
      const code = foreignCode(error.cause) ?? 'no answer';
      throw new RotorError('api.unreachable', {
        what: `there is no Rotor at ${base} (${code})`,
        cause: error,
      });
    });
    if (response.ok) return response;
    throw await refusal(response);
  };
  return {
    url: base,
    get: async (path) => (await send('GET', path)).json() as never,
    post: async (path, body, type) => (await send('POST', path, body, type)).json() as never,
    delete: async (path) => (await send('DELETE', path)).json() as never,
    text: async (path) => (await send('GET', path)).text(),
  };
}

/** The server's own words, under its own code. */
async function refusal(response: Response): Promise<RotorError> {
  const said = (await response.json().catch(() => ({}))) as { code?: string; what?: string; hint?: string };
  const code = said.code && said.code in ERROR_CODES ? (said.code as ErrorCode) : 'api.unreachable';
  return new RotorError(code, {
    what: said.what ?? `the API answered ${response.status}`,
    ...(said.hint === undefined ? {} : { hint: said.hint }),
  });
}

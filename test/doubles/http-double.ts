import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface DoubleRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface DoubleAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Instead of a body that is JSON. */
  readonly text?: string;
}

/** What comes between a request and its answer: told before it is acted on, and after. `cut` ends the connection there. */
export type Disturb = (when: 'before' | 'after', request: DoubleRequest) => Promise<'cut' | undefined>;

/** What the doubles of services that speak HTTP have in common: a double answers as its vendor documents, and is not the vendor. */
export abstract class HttpDouble {
  /** `METHOD /path`, in order. */
  readonly asked: string[] = [];
  /** Said instead, one after the other; `cut` ends the connection before it acts, `cutAfter` when it has. */
  readonly instead: (DoubleAnswer | 'cut' | 'cutAfter')[] = [];
  disturb: Disturb = () => Promise.resolve(undefined);
  readonly #server: Server;

  readonly #scheme: 'http' | 'https';

  /** @param tls what it proves itself with, for services that clients reach by https only */
  constructor(tls?: { readonly key: string; readonly cert: string }) {
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#scheme = tls ? 'https' : 'http';
    this.#server = tls ? createTlsServer(tls, answer) : createServer(answer);
  }

  protected abstract usual(request: DoubleRequest): DoubleAnswer;

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '', this.url);
    const body = (await buffer(incoming)).toString('utf8');
    const { method = '', headers } = incoming;
    const request = { method, path: url.pathname, query: url.searchParams, headers, body };
    this.asked.push(`${method} ${url.pathname}`);
    const before = await this.disturb('before', request);
    const said = this.instead.shift();
    if (before === 'cut' || said === 'cut') return void incoming.socket.destroy();
    const {
      status,
      headers: told,
      body: content,
      text,
    } = typeof said === 'object' ? said : this.usual(request);
    const after = await this.disturb('after', request);
    if (after === 'cut' || said === 'cutAfter') return void incoming.socket.destroy();
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...told });
    response.end(text ?? (content === undefined ? '' : JSON.stringify(content)));
  }
}

/** Undefined for what is no JSON object. */
export function objectIn(body: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An alert as GitHub's REST API shows it (docs.github.com, "Get a secret scanning alert"), the fields that matter. */
export interface GithubAlert {
  readonly secret: string;
  readonly secret_type?: string;
  readonly validity?: 'active' | 'inactive' | 'unknown';
  readonly publicly_leaked?: boolean;
  readonly multi_repo?: boolean;
  readonly state?: 'open' | 'resolved';
  readonly resolution?: 'false_positive' | 'wont_fix' | 'revoked' | 'used_in_tests' | null;
}

export interface GithubAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const SLOW_DOWN = 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api';

/** Answers with which GitHub puts a caller off, as its documentation describes them. */
export const putOff = {
  primary: (resetsAt: Date): GithubAnswer => ({
    status: 403,
    headers: {
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(Math.ceil(resetsAt.getTime() / 1_000)),
    },
    body: { message: 'API rate limit exceeded for user ID 1.', documentation_url: SLOW_DOWN },
  }),
  secondary: (seconds?: number): GithubAnswer => ({
    status: 429,
    headers: {
      'x-ratelimit-remaining': '4711',
      ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
    },
    body: {
      message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      documentation_url: SLOW_DOWN,
    },
  }),
};

/** GitHub's REST API as far as alerts of secret scanning go. */
export class GithubDouble {
  readonly token: string;
  /** By `owner/repo/number`. */
  readonly alerts = new Map<string, GithubAlert>();
  /** Renamed repositories: `owner/old` to the path of the new one. */
  readonly moved = new Map<string, string>();
  /** Said instead, one after the other; `cut` ends the connection, `hang` never answers. */
  readonly instead: (GithubAnswer | 'cut' | 'hang')[] = [];
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** Held back until it is resolved. */
  gate: Promise<void> = Promise.resolve();
  readonly #server: Server;

  private constructor(token: string) {
    this.token = token;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(token: string): Promise<GithubDouble> {
    const double = new GithubDouble(token);
    await new Promise<void>((resolve) => double.#server.listen(0, '127.0.0.1', resolve));
    return double;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** As if it had just begun. */
  forget(): void {
    this.alerts.clear();
    this.moved.clear();
    this.instead.length = 0;
    this.asked.length = 0;
    this.gate = Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked.push(request.url ?? '');
    await this.gate;
    const said = this.instead.shift();
    if (said === 'cut') request.socket.destroy();
    else if (said !== 'hang') send(response, said ?? this.#usual(request));
  }

  #usual(request: IncomingMessage): GithubAnswer {
    const { authorization, 'user-agent': agent } = request.headers;
    if (!agent) return { status: 403, body: { message: 'Request forbidden by administrative rules.' } };
    if (authorization !== `Bearer ${this.token}`)
      return { status: 401, body: { message: 'Bad credentials' } };
    const url = new URL(request.url ?? '', this.url);
    const [, owner, repo, number] =
      /^\/repos\/([^/]+)\/([^/]+)\/secret-scanning\/alerts\/(\d+)$/.exec(url.pathname) ?? [];
    const location = this.moved.get(`${owner}/${repo}`);
    if (location)
      return { status: 301, headers: { location }, body: { message: 'Moved Permanently', url: location } };
    const alert = this.alerts.get(`${owner}/${repo}/${number}`);
    if (!alert) return { status: 404, body: { message: 'Not Found' } };
    const { secret, ...rest } = alert;
    const hidden = url.searchParams.get('hide_secret') === 'true';
    return {
      status: 200,
      body: {
        number: Number(number),
        state: 'open',
        resolution: null,
        secret_type: 'postgres_connection_string',
        validity: 'unknown',
        publicly_leaked: false,
        multi_repo: false,
        ...rest,
        ...(hidden ? {} : { secret }),
      },
    };
  }
}

function send(response: ServerResponse, { status, headers, body }: GithubAnswer): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'x-ratelimit-remaining': '4999',
    ...headers,
  });
  response.end(JSON.stringify(body ?? {}));
}

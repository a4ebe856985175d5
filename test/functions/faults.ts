import { createServer, request, type Server } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';

export type Moment = 'before' | 'after';

/**
 * Two servers behind proxies that cut one message, and then everything, as if the network were gone or the function had
 * been killed: a request before the server gets it, or its answer after the server has acted.
 */
export class Faults {
  /** Messages that came by since {@link heal}: requests of HTTP, and what clients of PostgreSQL send at a time. */
  seen = { http: 0, postgres: 0 };
  #cut: { readonly proxy: 'http' | 'postgres'; readonly at: number; readonly moment: Moment } | undefined;
  #down = false;
  readonly #servers: (Server | TcpServer)[] = [];
  readonly #sockets = new Set<Socket>();

  cutAt(proxy: 'http' | 'postgres', at: number, moment: Moment): void {
    this.heal();
    this.#cut = { proxy, at, moment };
  }

  heal(): void {
    this.seen = { http: 0, postgres: 0 };
    this.#cut = undefined;
    this.#down = false;
  }

  /** What is gone comes back; what is to be cut is cut once. */
  revive(): void {
    if (!this.#down) return;
    this.#down = false;
    this.#cut = undefined;
  }

  /** @returns its URL */
  async http(target: string): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      const moment = this.#momentOf('http');
      if (moment === 'before') return incoming.socket.destroy();
      const { method, url, headers } = incoming;
      const forwarded = request(`${target}${url}`, { method, headers }, (answer) => {
        if (moment === 'after') {
          // Only when it is whole has the server acted.
          answer.resume().once('end', () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      });
      forwarded.on('error', () => incoming.socket.destroy());
      return incoming.pipe(forwarded);
    });
    return `http://127.0.0.1:${await this.#listen(server)}`;
  }

  /** @returns its port */
  async postgres(port: number): Promise<number> {
    const server = createTcpServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      let silent = false;
      const cut = () => {
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', cut).on('close', () => {
          this.#sockets.delete(socket);
          cut();
        });
      }
      client.on('data', (bytes) => {
        const moment = this.#momentOf('postgres');
        if (moment === 'before') return cut();
        silent = moment === 'after';
        return upstream.write(bytes);
      });
      upstream.on('data', (bytes) => (silent ? cut() : client.write(bytes)));
    });
    return this.#listen(server);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      this.#servers.map((server) => {
        if ('closeAllConnections' in server) server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  }

  #momentOf(proxy: 'http' | 'postgres'): Moment | undefined {
    if (this.#down) return 'before';
    this.seen[proxy] += 1;
    if (this.#cut?.proxy !== proxy || this.#cut.at !== this.seen[proxy]) return undefined;
    this.#down = true;
    return this.#cut.moment;
  }

  async #listen(server: Server | TcpServer): Promise<number> {
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
}

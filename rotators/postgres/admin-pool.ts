import { endConnection, type Server } from './connection.ts';

interface Free {
  readonly key: string;
  readonly server: Server;
  /** The server may end it while nobody uses it. */
  readonly gone: () => void;
}

/**
 * Connections of admins that are free, for one piece of work about many credentials: opening one costs more than what is
 * done on it. Each is in one pair of hands at a time, so that one that hangs holds nobody else up.
 */
export class AdminPool {
  readonly #free = new Set<Free>();
  #closed = false;

  /** @param key of the place and the admin: whoever names the same may use it */
  take(key: string): Server | undefined {
    for (const each of this.#free) {
      if (each.key !== key) continue;
      this.#remove(each);
      return each.server;
    }
    return undefined;
  }

  /** Takes a connection on which nothing is under way. */
  async give(key: string, server: Server): Promise<void> {
    if (this.#closed) return endConnection(server.client);
    const free: Free = { key, server, gone: () => void this.#free.delete(free) };
    server.client.once('end', free.gone);
    this.#free.add(free);
  }

  /** What is given from now on is ended. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#free];
    for (const each of all) this.#remove(each);
    await Promise.all(all.map(({ server }) => endConnection(server.client)));
  }

  #remove(free: Free): void {
    free.server.client.off('end', free.gone);
    this.#free.delete(free);
  }
}

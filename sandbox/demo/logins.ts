import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

/** A credential as it lies in an application's Secret. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
  readonly password: string;
  /** As the Secret says. */
  readonly versionId: string;
}

/** `disabled`: the password is right, and its role may not log in. `gone`: there is no such password any more. */
export type Attempt = 'accepted' | 'disabled' | 'gone';

/** A real login, as anybody who has found the credential would try it. @throws what is no answer about the credential */
export async function tryLogin(login: Login): Promise<Attempt> {
  const client = connectionOf(login);
  try {
    await client.connect();
    return 'accepted';
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    // Authentication comes first, and only who has passed it learns that the role may not log in.
    if (error.code === '28P01') return 'gone';
    if (error.code === '28000') return 'disabled';
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** When the server's answers to a credential changed, in milliseconds since the watch was begun. */
export interface Watched {
  readonly refusedMs: number | undefined;
  readonly goneMs: number | undefined;
}

export interface Watch extends Watched {
  /** Ends it. @throws what an attempt threw */
  end(): Promise<void>;
}

/** Tries a credential again and again, until it is gone or the watch is ended. */
export function watchLogin(login: Login, everyMs: number): Watch {
  const since = performance.now();
  const seen: { refusedMs: number | undefined; goneMs: number | undefined } = {
    refusedMs: undefined,
    goneMs: undefined,
  };
  let ended = false;
  const watching = (async () => {
    while (!ended && seen.goneMs === undefined) {
      const answer = await tryLogin(login);
      const ms = performance.now() - since;
      if (answer !== 'accepted') seen.refusedMs ??= ms;
      if (answer === 'gone') seen.goneMs = ms;
      await pause(everyMs);
    }
  })();
  watching.catch(() => undefined);
  return {
    get refusedMs() {
      return seen.refusedMs;
    },
    get goneMs() {
      return seen.goneMs;
    },
    end: async () => {
      ended = true;
      await watching;
    },
  };
}

export interface Intruder {
  /** Since it had logged in; undefined while its session is open. */
  readonly cutMs: number | undefined;
  leave(): Promise<void>;
}

/** Somebody who is logged in with the credential already, and stays: changing a password alone would not end that. */
export async function intrude(login: Login): Promise<Intruder> {
  const client = connectionOf(login);
  let cutMs: number | undefined;
  await client.connect();
  const since = performance.now();
  client.once('end', () => {
    cutMs ??= performance.now() - since;
  });
  return {
    get cutMs() {
      return cutMs;
    },
    leave: () => client.end().catch(() => undefined),
  };
}

function connectionOf({ host, port, database, username, password }: Login): pg.Client {
  const client = new pg.Client({
    host,
    port,
    database,
    user: username,
    password,
    application_name: 'finder',
  });
  client.on('error', () => undefined);
  return client;
}

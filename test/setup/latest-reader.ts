import pg from 'pg';

/** A consumer that Rotor knows nothing of: reads the newest version and logs in with it, again and again. */
export interface LatestReader {
  /** Users that it logged in as, one for each login. */
  readonly logins: readonly string[];
  readonly refusals: readonly string[];
  stop(): Promise<void>;
}

/** @param read the document as consumers get it that name no version; throws when the store refuses it to them */
export function startLatestReader(read: () => string): LatestReader {
  const logins: string[] = [];
  const refusals: string[] = [];
  let going = true;
  const look = async (): Promise<void> => {
    while (going) {
      const outcome = await loginWith(read).catch((error: Error) => error);
      if (typeof outcome === 'string') logins.push(outcome);
      else refusals.push(String(outcome));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const done = look();
  return {
    logins,
    refusals,
    stop: () => {
      going = false;
      return done;
    },
  };
}

async function loginWith(read: () => string): Promise<string> {
  const { host, port, dbname, username, password } = JSON.parse(read()) as Record<string, string>;
  const client = new pg.Client({ host, port: Number(port), database: dbname, user: username, password });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return username ?? '';
  } finally {
    await client.end().catch(() => undefined);
  }
}

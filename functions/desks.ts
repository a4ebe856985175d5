import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { Call } from '../core/call.ts';
import { foreignCode, RotorError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { SecretValue } from '../core/secret.ts';
import type { Lent, Loan, SecretDesk } from '../rotators/function/secret-desk.ts';
import type { StoreSession } from '../stores/store.ts';
import { secretsManagerApp } from './secrets-manager-api/app.ts';
import { Loans, type OpenLoan } from './secrets-manager-api/loans.ts';
import { shownVersions, storedVersions } from './secrets-manager-api/versions.ts';

/** Any name of a region does: nothing of AWS is asked, but SDKs want one. */
const REGION = 'us-east-1';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export interface DesksOptions {
  /** Where the API listens; loopback unless functions elsewhere are to reach it. Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** How functions reach it; where it listens, when absent. */
  readonly url?: string | undefined;
  readonly log: Logger;
}

/** The Secrets Manager API for functions of others: one for a process, in front of every store. */
export interface Desks {
  /** The desk of one policy. */
  at(store: StoreSession, path: string): SecretDesk;
  close(): Promise<void>;
}

/** Nothing listens until the first function is to work. */
export function secretDesks({ listen, url, log }: DesksOptions): Desks {
  const loans = new Loans();
  let started: Promise<Started> | undefined;
  const start = () => {
    started ??= listening(loans, listen, log);
    started.catch(() => {
      started = undefined;
    });
    return started;
  };
  return {
    at: (store, path) => ({
      lend: async (call, loan) => {
        const { address } = await start();
        const open = opened(store, path, call, loan);
        loans.add(open);
        return lent(open, url ?? address, () => loans.remove(open));
      },
      read: (call, which) => store.read(call, path, which),
    }),
    close: async () => {
      await (await started?.catch(() => undefined))?.close();
    },
  };
}

function opened(store: StoreSession, path: string, call: Call, loan: Loan): OpenLoan {
  const { shown, key, token } = loan;
  const { random } = call;
  return {
    loan,
    call,
    versions: shown
      ? shownVersions(store, path, call, { ...loan, shown })
      : storedVersions(store, path, call, loan),
    arn: `arn:aws:secretsmanager:${REGION}:000000000000:secret:${path}-${letters(random, 24)}`,
    name: path,
    key: key ?? {
      accessKeyId: `ASIA${letters(random, 16)}`,
      secretAccessKey: SecretValue.of(letters(random, 40)),
    },
    sessionToken: key ? undefined : SecretValue.of(`${token}.${letters(random, 40)}`),
    handed: [],
    put: undefined,
    problems: new Map(),
  };
}

function lent(open: OpenLoan, endpoint: string, end: () => void): Lent {
  return {
    endpoint,
    region: REGION,
    secretId: open.arn,
    key: open.key,
    sessionToken: open.sessionToken,
    get put() {
      return open.put;
    },
    get handed() {
      return open.handed;
    },
    get problem() {
      return [...open.problems.values()].at(-1);
    },
    end,
  };
}

/** 160 bits in 32 letters of base32. */
function letters(random: Random, count: number): string {
  return Array.from({ length: count }, () => LETTERS[random.int(LETTERS.length)]).join('');
}

interface Started {
  readonly address: string;
  close(): Promise<void>;
}

function listening(loans: Loans, { host, port }: DesksOptions['listen'], log: Logger): Promise<Started> {
  const app = secretsManagerApp(loans, log.child({ part: 'function-api' }));
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }, (info) => {
      const shown = info.address.includes(':') ? `[${info.address}]` : info.address;
      (server as Server).unref();
      resolve({ address: `http://${shown}:${info.port}`, close: () => closed(server as Server) });
    }) as Server;
    server.on('error', (error) =>
      reject(
        new RotorError('config.invalid', {
          what: `ROTOR_FUNCTIONS_LISTEN: ${host}:${port} can't be used (${foreignCode(error)})`,
        }),
      ),
    );
  });
}

async function closed(server: Server): Promise<void> {
  const done = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await done;
}

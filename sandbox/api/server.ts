import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { stringify } from 'yaml';
import { type Clock, systemClock } from '../../core/clock.ts';
import { cryptoRandom, type Random } from '../../core/random.ts';
import { bootstrap } from './bootstrap.ts';
import { makeCertificates } from './certificates.ts';
import { startCollector } from './collector.ts';
import { followDefinitions } from './definitions.ts';
import { type Faults, noFaults } from './faults.ts';
import { handle } from './handler.ts';
import type { KubeObject } from './json.ts';
import type { LogFile } from './pod-logs.ts';
import { Registry } from './registry.ts';
import { Store } from './store.ts';
import { Users } from './users.ts';
import type { World } from './world.ts';

export interface ApiServerOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** How many changes watches can go back. */
  readonly historySize?: number;
  readonly bookmarkEveryMs?: number;
  readonly faults?: Partial<Faults>;
  /** Where the node beside it keeps the logs of containers; none are shown without. */
  readonly logFile?: LogFile;
}

/** An object that is kept as it is given. */
export interface Seed {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

/** A running stand-in for a cluster's API. */
export interface SandboxApi {
  readonly url: string;
  readonly caCertificate: string;
  /** May be replaced at any time; asked before each request that is authenticated. */
  readonly faults: Faults;
  /** A kubeconfig of the admin, or of a user made by `addUser` before. */
  kubeconfig(user?: string): string;
  /**
   * Makes a user without any right, or a further token of one, and returns its bearer token.
   * @param token one that was made elsewhere, such as a signed one
   */
  addUser(name: string, groups?: readonly string[], token?: string): string;
  /** Nobody is let in by this token any more. */
  expireToken(token: string): void;
  /** Breaks the connection of every open watch. */
  cutWatches(): void;
  /** Keeps objects as they are given, unchecked, for suites that need thousands. `storage` is `<group>/<plural>`. */
  seed(storage: string, objects: readonly Seed[]): void;
  /** Forgets all past changes: watches from older versions get 410. */
  forgetHistory(): void;
  stop(): Promise<void>;
}

/**
 * Starts an API server in this process, with nothing in it but what every cluster has. Garbage and namespaces
 * are collected; no other controller runs, so nobody makes pods of deployments. Not there: exec, proxies, admission
 * webhooks, quotas, anonymous requests, tokens of service accounts, descriptions of fields of built-in kinds
 * (kubectl explain), most of protobuf. Fields of built-in kinds other than Secret and ConfigMap are not checked against
 * a type: an unknown one is kept where a real server drops or refuses it.
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<SandboxApi> {
  const certificates = await makeCertificates();
  const users = new Users();
  const world: World = {
    clock: options.clock ?? systemClock,
    random: options.random ?? cryptoRandom,
    store: new Store(options.historySize ?? 10_000),
    registry: new Registry(),
    users,
  };
  followDefinitions(world);
  startCollector(world);
  bootstrap(world);
  const tokens = new Map([['admin', users.add('admin', ['system:masters'])]]);
  const faults: Faults = { ...noFaults(), ...options.faults };
  const watches = { bookmarkEveryMs: options.bookmarkEveryMs ?? 10_000, open: new Set<ServerResponse>() };

  const { key, certificate } = certificates;
  const server = createServer({ key, cert: certificate }, (request, response) => {
    void handle({ world, faults, watches, url, logFile: options.logFile }, request, response);
  });
  // Watches are silent for as long as nothing changes.
  server.requestTimeout = 0;
  // Those in their TLS handshake are none that the server knows of yet, and would keep it from closing.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    caCertificate: certificates.caCertificate,
    faults,
    kubeconfig: (user = 'admin') => kubeconfig(url, certificates.caCertificate, user, tokens.get(user)),
    addUser: (name, groups, given) => {
      const token = users.add(name, groups, given);
      tokens.set(name, token);
      return token;
    },
    expireToken: (token) => users.expire(token),
    cutWatches: () => {
      for (const response of watches.open) response.destroy();
    },
    seed: (storage, objects) => {
      for (const object of objects) {
        const metadata = { uid: world.random.uuid(), ...object.metadata };
        world.store.put(storage, { ...object, metadata } as unknown as KubeObject);
      }
    },
    forgetHistory: () => world.store.forget(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function kubeconfig(url: string, ca: string, user: string, token: string | undefined): string {
  if (token === undefined) throw new Error(`no user ${user}: make it by addUser first`);
  const name = 'sandbox';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: user, user: { token } }],
    contexts: [{ name, context: { cluster: name, user } }],
    'current-context': name,
  });
}

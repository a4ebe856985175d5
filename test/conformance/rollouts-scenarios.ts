import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ErrorCode, ErrorKind } from '../../core/error-codes.ts';
import { noneRollout } from '../../workers/rollouts/none/rollout.ts';
import { reloadRollout } from '../../workers/rollouts/reload/rollout.ts';
import type { RolloutSession } from '../../workers/rollouts/rollout.ts';
import { byCanary, byCanarySteps, byPreview } from './argo-scenarios.ts';
import {
  byDiscovery,
  byRollingASet,
  byRollingUpdate,
  byTwin,
  byTwinBehindGates,
} from './cluster-scenarios.ts';
import { byExternalSecrets, byReloader, byVaultSecretsOperator } from './delegated-scenarios.ts';
import { byMountingAnew, byRotatedMounts } from './mounted-scenarios.ts';
import { byFiles, byReportingPods } from './pod-reload-scenarios.ts';

/** One real consumer: it takes what is delivered when it is reloaded, and can be broken. */
export interface RolloutScenario {
  readonly session: RolloutSession;
  /** What `move` can prove of it; `nothing` when this rollout sees nothing. */
  readonly proves: 'reported' | 'acknowledged' | 'restarted' | 'nothing';
  /** How a consumer that can't be told is answered; `rollout.reload-failed` when absent. */
  readonly refusedAs?: ErrorCode;
  /** How it shows that another version is delivered; `rollout.unhealthy` when absent. */
  readonly otherVersionAs?: { readonly code: ErrorCode; readonly kind: ErrorKind } | 'not yet';
  /** What is delivered moves it, whether it is told or not. */
  readonly byDelivery?: true;
  deliver(versionId: string): Promise<void>;
  /** Which version it runs with. */
  running(): Promise<string>;
  /** It is ill from now on (`health`), or can no longer be reloaded (`refuses`). */
  breakDown(how: 'health' | 'refuses'): Promise<void>;
  /** The same consumer for a worker whose operator allows no commands; absent when it needs none. */
  readonly withoutCommands?: RolloutSession;
}

const patience = { healthTimeout: '400ms', healthInterval: '10ms', stableFor: 2 };

/** One entry per registered rollout and mode, by kind. A rollout without one fails the suite. */
export const rolloutScenarios: Readonly<
  Record<string, Readonly<Record<string, () => Promise<RolloutScenario>>>>
> = {
  reload: { http: overHttp, signal: bySignal, command: byCommand },
  rolling: {
    deployment: () => byRollingUpdate(),
    versioned: () => byRollingUpdate('versioned'),
    'stateful set': byRollingASet,
    'mounted by a driver': byMountingAnew,
  },
  blueGreen: {
    deployment: () => byTwin(),
    versioned: () => byTwin('versioned'),
    'behind gates': byTwinBehindGates,
  },
  argoRollouts: { canary: byCanary, 'canary in steps': byCanarySteps, 'blue/green': byPreview },
  podReload: {
    'reporting pods': byReportingPods,
    'pods that name their files': byFiles,
    'mounted by a driver': byRotatedMounts,
  },
  delegated: {
    'to Reloader': byReloader,
    'to External Secrets': byExternalSecrets,
    "to Vault's operator": byVaultSecretsOperator,
  },
  discovered: { deployment: () => byDiscovery(), versioned: () => byDiscovery('versioned') },
  none: { none: unseen },
};

async function overHttp(): Promise<RolloutScenario> {
  const state = { delivered: 'v0', running: 'v0', broken: '' };
  const server = createServer((request, response) => {
    if (request.url === '/reload') {
      if (state.broken !== 'refuses') state.running = state.delivered;
      response.writeHead(state.broken === 'refuses' ? 500 : 204).end();
      return;
    }
    response
      .writeHead(state.broken === 'health' ? 503 : 200)
      .end(JSON.stringify({ db: { version: state.running } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const rollout = reloadRollout({ allowedCommands: [] });
  const spec = rollout.spec.parse({
    via: { http: { url: `${base}/reload` } },
    health: { http: { url: `${base}/health`, versionPointer: '/db/version' } },
    ...patience,
  });
  return {
    session: rollout.open('shop', spec),
    proves: 'reported',
    deliver: async (versionId) => {
      state.delivered = versionId;
    },
    running: async () => state.running,
    breakDown: async (how) => {
      state.broken = how;
    },
  };
}

/** A consumer made of files: `delivered`, `running`, and `ill` when it is broken. */
async function inFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-rollout-'));
  const at = (name: string) => join(folder, name);
  await writeFile(at('delivered'), 'v0');
  await writeFile(at('running'), 'v0');
  const check = `cd ${folder} && test ! -e ill && test "$(cat running)" = "\${ROTOR_VERSION_ID:-$(cat running)}"\n`;
  await writeFile(at('check.sh'), check);
  await writeFile(at('reload.sh'), `cd ${folder} && test ! -e refuses && cp delivered running\n`);
  const health = { command: { run: ['/bin/sh', at('check.sh')] } };
  const allowedCommands = [
    ['/bin/sh', at('check.sh')],
    ['/bin/sh', at('reload.sh')],
  ];
  const consumer = (via: object) => {
    const open = (allowed: typeof allowedCommands) => {
      const rollout = reloadRollout({ allowedCommands: allowed });
      return rollout.open('shop', rollout.spec.parse({ via, health, ...patience }));
    };
    return {
      session: open(allowedCommands),
      withoutCommands: open([]),
      proves: 'acknowledged' as const,
      deliver: (versionId: string) => writeFile(at('delivered'), versionId),
      running: () => readFile(at('running'), 'utf8'),
    };
  };
  return { at, consumer };
}

async function byCommand(): Promise<RolloutScenario> {
  const { at, consumer } = await inFolder();
  return {
    ...consumer({ command: { run: ['/bin/sh', at('reload.sh')] } }),
    breakDown: (how) => writeFile(at(how === 'health' ? 'ill' : 'refuses'), ''),
  };
}

async function bySignal(): Promise<RolloutScenario> {
  const { at, consumer } = await inFolder();
  const loop = `trap 'sh ${at('reload.sh')}' HUP; echo ready; while :; do sleep 0.02; done`;
  const child = spawn('/bin/sh', ['-c', loop], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child.stdout, 'data');
  await writeFile(at('shop.pid'), `${child.pid}\nmore\n`);
  return {
    ...consumer({ signal: { pidFile: at('shop.pid') } }),
    breakDown: (how) => (how === 'health' ? writeFile(at('ill'), '') : rm(at('shop.pid'))),
  };
}

async function unseen(): Promise<RolloutScenario> {
  let delivered = 'v0';
  const spec = noneRollout.spec.parse({ acknowledged: true, reason: 'reads the file each time' });
  return {
    session: noneRollout.open('shop', spec),
    proves: 'nothing',
    deliver: async (versionId) => {
      delivered = versionId;
    },
    running: async () => delivered,
    breakDown: async () => undefined,
  };
}

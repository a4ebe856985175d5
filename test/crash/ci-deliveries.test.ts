import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { getRotation } from '../../ledger/rotations.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { GithubActionsDouble } from '../doubles/github-actions.ts';
import { GitlabDouble } from '../doubles/gitlab.ts';
import type { Disturb, HttpDouble } from '../doubles/http-double.ts';
import { JenkinsDouble } from '../doubles/jenkins.ts';
import { SinkDouble } from '../doubles/sink.ts';
import { sampled } from '../setup/matrix.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';
import { WITHOUT_CLUSTER } from './strategies.ts';

interface Target {
  readonly double: HttpDouble;
  readonly spec: object;
  /** What a pipeline finds: all of it, as text. */
  readonly held: () => string;
}

/** Every delivery that speaks HTTP to something that is no cluster. */
const TARGETS: Readonly<Record<string, (folder: string) => Promise<Target>>> = {
  httpSink: async () => {
    const double = await new SinkDouble().listen();
    const verify = { url: `${double.url}/version`, pointer: '/database/version' };
    return { double, spec: { url: `${double.url}/take`, verify }, held: () => double.held ?? '' };
  },
  gitlabVariable: async (folder) => {
    const double = await new GitlabDouble('crash-token').listen();
    const spec = {
      url: double.url,
      project: 'shop/orders',
      tokenFrom: { file: await tokenIn(folder) },
      variables: [
        { name: 'DB_USER', value: '{{username}}', masked: false },
        { name: 'DB_PASSWORD', value: '{{password}}' },
      ],
    };
    return { double, spec, held: () => double.variables.map(({ value }) => value).join(' ') };
  },
  githubActionsSecret: async (folder) => {
    const double = await new GithubActionsDouble('crash-token').listen();
    const spec = {
      apiUrl: double.url,
      owner: 'acme',
      repository: 'shop',
      tokenFrom: { file: await tokenIn(folder) },
      secrets: [
        { name: 'DB_USER', value: '{{username}}' },
        { name: 'DB_PASSWORD', value: '{{password}}' },
      ],
    };
    return { double, spec, held: () => [...double.secrets.values()].map(({ value }) => value).join(' ') };
  },
  jenkinsCredential: async (folder) => {
    const double = await new JenkinsDouble('rotor', 'crash-token').listen();
    const spec = {
      url: double.url,
      folder: 'shop/orders',
      user: 'rotor',
      tokenFrom: { file: await tokenIn(folder) },
      credentials: [{ id: 'db', usernamePassword: { username: '{{username}}', password: '{{password}}' } }],
      acknowledgeUnseen: true,
    };
    return { double, spec, held: () => [...double.credentials.values()].map(({ xml }) => xml).join(' ') };
  },
};

async function tokenIn(folder: string): Promise<string> {
  const file = join(folder, 'token');
  await writeFile(file, 'crash-token', { mode: 0o600 });
  return file;
}

const CELLS = [
  ['after', 'done'],
  ['before', 'done'],
  ['after', 'rolled-back'],
] as const;

let stage: Stage | undefined;
let target: Target | undefined;
let folder = '';
afterEach(async () => {
  await stage?.stop();
  await target?.double.stop();
  stage = undefined;
  await rm(folder, { recursive: true, force: true });
});

test('every delivery that speaks to no cluster is here, or writes a file', () => {
  const kinds = deliveries({ clusters: noClusters }).map(({ kind }) => kind);
  expect(['file', ...Object.keys(TARGETS)].sort()).toEqual([...WITHOUT_CLUSTER.deliveries].sort());
  expect(kinds).toEqual(expect.arrayContaining(Object.keys(TARGETS)));
});

/**
 * Kills the worker that asks, the first time for each call (the same call twice by one worker counts as two), and the call
 * with it: before it has acted, or after.
 */
function killer(when: 'before' | 'after', worker: () => Promise<StartedWorker>) {
  const killedAt = new Set<string>();
  let asked: string[] = [];
  const disturb: Disturb = async (moment, { method, path }) => {
    if (moment !== when) return undefined;
    const times = asked.filter((each) => each === `${method} ${path}`).length;
    asked.push(`${method} ${path}`);
    const call = `${method} ${path} ${times}`;
    if (killedAt.has(call) || times > 1) return undefined;
    killedAt.add(call);
    const { process: child, exited } = await worker();
    child.kill('SIGKILL');
    await exited;
    asked = [];
    return 'cut';
  };
  return { disturb, killedAt };
}

async function untilEnded(id: string, begun: { worker: Promise<StartedWorker> }): Promise<void> {
  const on = stage as Stage;
  for (let workers = 0; workers < 60; workers += 1) {
    begun.worker = on.startWorker();
    const { exited } = await begun.worker;
    await Promise.race([exited, on.ended(id)]);
    const { state } = await getRotation(on.test.ledger, id);
    if (['done', 'rolled-back', 'needs-human'].includes(state)) return;
  }
}

describe.each(Object.keys(TARGETS))('%s', (kind) => {
  test.each(sampled(CELLS, kind === 'httpSink' ? 2 : 3))(
    'workers killed at every call %s it has acted: the rotation ends %s, and the target holds what consumers do',
    {
      timeout: 240_000,
    },
    async (when, state) => {
      folder = await mkdtemp(join(tmpdir(), 'rotor-crash-ci-'));
      stage = await setStage((ledgerUrl) => ledgerUrl);
      target = await (TARGETS[kind] as (folder: string) => Promise<Target>)(folder);
      const { client, spec } = stage;
      const begun = { worker: new Promise<StartedWorker>(() => undefined) };
      const { disturb, killedAt } = killer(when, () => begun.worker);
      if (state === 'done') target.double.disturb = disturb;
      const id = await stage.startRotation({ deliver: [...spec.deliver, { kind, spec: target.spec }] });
      if (state === 'rolled-back') {
        const first = await stage.startWorker({ point: 'forward:generate:performed', signal: 'SIGKILL' });
        await first.exited;
        const { newVersion } = await getRotation(stage.test.ledger, id);
        client.healthyWith = (versionId) => versionId !== newVersion;
        target.double.disturb = disturb;
      }
      await untilEnded(id, begun);
      const rotation = await stage.ended(id);
      const told = `${[...killedAt].join('\n')}\n${await stage.journal(id)}`;
      expect(rotation.state, told).toBe(state);
      expect(killedAt.size, told).toBeGreaterThan(1);
      expect(client.refusals, told).toEqual([]);
      expect(target.held(), told).toContain(client.held().password);
      expect(target.held(), told).toContain(client.held().username);
    },
  );
});

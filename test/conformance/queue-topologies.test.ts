import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { consumeQueue, openQueue, type RotationQueue } from '../../workers/queue/queue.ts';
import { type Stage, setStage } from '../crash/stage.ts';
import { WHOLE } from '../setup/matrix.ts';
import { freshDatabase } from '../setup/postgres.ts';
import {
  type Certificates,
  makeCertificates,
  type RedisServers,
  startClusterRedis,
  startSentinelRedis,
  startSingleRedis,
} from '../setup/redis.ts';

/** Needs encoding in a URL, and must not be taken for a port, a host or a path. */
const PASSWORD = 'a:b@c/d?e,f';

interface Topology {
  readonly name: string;
  readonly servers: boolean;
  start(): Promise<Servers>;
}

type Servers = Pick<RedisServers, 'url' | 'stop'> & Partial<RedisServers>;

let folder = '';
let ours: Certificates;
let theirs: Certificates;
const given = inject('redis');
const skipped = 'skipped' in given ? given.skipped : undefined;

const TOPOLOGIES: readonly Topology[] = [
  {
    name: 'PostgreSQL',
    servers: false,
    start: async () => {
      const { url, drop } = await freshDatabase();
      return { url, stop: drop };
    },
  },
  ...[false, true].flatMap((tls) => {
    const secured = () => ({ password: PASSWORD, certificates: tls ? ours : undefined });
    const name = tls ? ' with TLS' : '';
    return [
      { name: `one Redis${name}`, servers: true, start: () => startSingleRedis(secured()) },
      { name: `Redis Sentinel${name}`, servers: true, start: () => startSentinelRedis(secured()) },
      { name: `Redis Cluster${name}`, servers: true, start: () => startClusterRedis(secured()) },
    ];
  }),
];

/** Of the sample, each kind of server once. */
const TRIED = TOPOLOGIES.filter(({ name }) => WHOLE || !/^one Redis with|Sentinel with|Cluster$/.test(name));

const started = new Map<string, Promise<Servers>>();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-tls-'));
  if (!skipped) {
    const both = ['ours', 'theirs'].map((name) => makeCertificates(folder, name));
    [ours, theirs] = (await Promise.all(both)) as [Certificates, Certificates];
  }
  // All at once: each of them is mostly waiting for the others of its kind to notice it.
  const wanted = TRIED.filter(({ servers }) => !(servers && skipped));
  for (const { name, start } of wanted) started.set(name, start());
  // One that doesn't come up is told where it is used, and is no reason not to try the others.
  await Promise.allSettled(started.values());
});
afterAll(async () => {
  const up = await Promise.allSettled(started.values());
  await Promise.all(up.map((each) => (each.status === 'fulfilled' ? each.value.stop() : undefined)));
  await rm(folder, { recursive: true, force: true });
});

/** A queue, and what its workers were woken for. */
interface Scene {
  readonly queue: RotationQueue;
  readonly woken: string[];
  close(): Promise<void>;
}

async function setScene(url: string): Promise<Scene> {
  const named = { url: SecretValue.of(url), log: silentLog, name: `topology-${randomUUID()}` };
  const woken: string[] = [];
  const queue = await openQueue(named);
  const worker = await consumeQueue({
    ...named,
    concurrency: 2,
    handle: async (id) => {
      woken.push(id);
    },
  });
  const close = async () => {
    await worker.close();
    await queue.close();
  };
  return { queue, woken, close };
}

for (const { name, servers: needed } of TRIED) {
  const reason = needed ? skipped : undefined;
  describe.skipIf(reason)(`the queue on ${name}${reason ? ` (skipped: ${reason})` : ''}`, () => {
    let servers: Servers;
    let scene: Scene;
    let stage: Stage | undefined;
    beforeAll(async () => {
      servers = (await started.get(name)) as Servers;
      scene = await setScene(servers.url);
    });
    afterEach(async () => {
      await stage?.stop();
      stage = undefined;
    });
    afterAll(async () => {
      await scene?.close();
    });
    const count = (id: string) => scene.woken.filter((woken) => woken === id).length;

    test('wakes a worker', async () => {
      const id = randomUUID();
      await scene.queue.wake(id, 'start');
      await expect.poll(() => count(id)).toBe(1);
    });

    test('wakes a worker later, not before its time', async () => {
      const id = randomUUID();
      const askedAt = performance.now();
      await scene.queue.wake(id, 'later', 400);
      await expect.poll(() => count(id), { timeout: 10_000, interval: 5 }).toBe(1);
      expect(performance.now() - askedAt).toBeGreaterThan(390);
    });

    test('takes the same occasion twice as one', async () => {
      const [id, next] = [randomUUID(), randomUUID()];
      for (let times = 0; times < 5; times += 1) await scene.queue.wake(id, 'same', 300);
      await expect.poll(() => count(id), { timeout: 10_000 }).toBe(1);
      await scene.queue.wake(id, 'another');
      await scene.queue.wake(next, 'start');
      await expect.poll(() => [count(id), count(next)]).toEqual([2, 1]);
    });

    if (needed)
      test('goes on after every connection was cut', async () => {
        for (const node of servers.nodes ?? []) await node.ask('CLIENT', 'KILL', 'TYPE', 'normal');
        const id = randomUUID();
        await scene.queue.wake(id, 'start');
        await expect.poll(() => count(id), { timeout: 10_000 }).toBe(1);
      });

    if (/(Sentinel|Cluster)$/.test(name))
      test('a master killed in mid-rotation costs no rotation: its replica takes over, and the next one runs too', async () => {
        stage = await setStage(() => servers.url);
        const id = await stage.startRotation({ settle: { ...stage.spec.settle, graceMs: 3_000 } });
        await stage.startWorker();
        await expect.poll(() => stage?.journal(id), { timeout: 20_000 }).toContain('settle intent');
        await (await servers.keeper?.())?.kill();
        expect(await stage.ended(id)).toMatchObject({ state: 'done', recovered: false });
        const next = await stage.startRotation();
        expect(await stage.ended(next)).toMatchObject({ state: 'done' });
        expect(stage.client.refusals).toEqual([]);
        const woken = randomUUID();
        await scene.queue.wake(woken, 'start');
        await expect.poll(() => count(woken), { timeout: 10_000 }).toBe(1);
      });
  });
}

describe.skipIf(skipped)('a queue that cannot be used is refused at once, with words', () => {
  const open = (url: string) => openQueue({ url: SecretValue.of(url), log: silentLog });
  const work = (url: string) =>
    consumeQueue({ url: SecretValue.of(url), log: silentLog, concurrency: 1, handle: async () => undefined });
  const secured = TRIED.filter(({ name }) => name.endsWith('with TLS')).map(({ name }) => name);

  test.each(secured)('a certificate of an authority that is not trusted: %s', async (name) => {
    const url = (await started.get(name))?.url ?? '';
    const other = url.replace(encodeURIComponent(ours.caFile), encodeURIComponent(theirs.caFile));
    const nobody = url.replace(/caFile=[^&]*&?/, '');
    for (const wrong of [other, nobody]) {
      for (const opening of [open, work])
        await expect(opening(wrong)).rejects.toMatchObject({
          code: 'config.invalid',
          message: expect.stringMatching(/^ROTOR_QUEUE_URL: the certificate .* not trusted \([A-Z_]+\)$/),
          hint: expect.stringContaining('caFile='),
        });
    }
  });

  const all = TRIED.filter(({ servers }) => servers).map(({ name }) => name);
  test.each(all)('a wrong password or none: %s', async (name) => {
    const url = (await started.get(name))?.url ?? '';
    for (const wrong of [url.replace('://:', '://:hunter2'), url.replace(/:[^:@/]*@/, '')]) {
      const refused = open(wrong);
      await expect(refused).rejects.toMatchObject({ code: 'config.invalid' });
      await expect(refused).rejects.toThrow(
        /^ROTOR_QUEUE_URL: .* refuses user or password \((WRONGPASS|NOAUTH)\)$/,
      );
    }
  });

  test('a sentinel that refuses, or knows no such master', async () => {
    const url = (await started.get('Redis Sentinel'))?.url ?? '';
    await expect(open(url.replace(/sentinelPassword=.*/, 'sentinelPassword=hunter2'))).rejects.toThrow(
      "ROTOR_QUEUE_URL: the queue's server refuses user or password (WRONGPASS)",
    );
    await expect(open(url.replace('/rotor?', '/another?'))).rejects.toThrow(
      'ROTOR_QUEUE_URL: a sentinel knows no master of the name that is given after the hosts',
    );
  });
});

test.skipIf(skipped)(
  'a queue that went away holds nobody up: not who wakes, not who shuts down',
  async () => {
    const servers = await startSingleRedis({ password: PASSWORD });
    try {
      const named = { url: SecretValue.of(servers.url), log: silentLog, name: `away-${randomUUID()}` };
      const queue = await openQueue(named);
      let finish = (): void => undefined;
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      let taken = false;
      const worker = await consumeQueue({
        ...named,
        concurrency: 1,
        handle: async () => {
          taken = true;
          await finished;
        },
      });
      await queue.wake(randomUUID(), 'start');
      await expect.poll(() => taken).toBe(true);
      await (await servers.keeper()).kill();
      const waking = queue.wake(randomUUID(), 'away');
      const closing = worker.close();
      finish();
      await expect(waking).rejects.toMatchObject({ code: 'call.timeout' });
      await closing;
      await queue.close();
    } finally {
      await servers.stop();
    }
  },
);

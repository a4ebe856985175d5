import { inspect } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { deliveryScenarios } from './deliveries-scenarios.ts';

const registered = deliveries({ clusters: noClusters }).map(({ kind }) => kind);
const call = (ms = 30_000): Call => ({
  deadline: Deadline.after(ms),
  fence: 1n,
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
});
/** Documents of very different lengths, so that a torn write would show. */
function version(versionId: string, length: number): Credential {
  const password = SecretValue.of(`marker-${versionId}-`.padEnd(length, versionId));
  return { versionId, identity: 'app', fields: { username: 'app', host: 'db' }, secrets: { password } };
}

const short = version('a', 40);
const longOf = ({ longest = 300_000 }: { readonly longest?: number }) => version('b', longest);

afterAll(stopTestCluster);

test('every registered delivery has a scenario here, and every scenario a delivery', () => {
  expect(Object.keys(deliveryScenarios).sort()).toEqual([...registered].sort());
});

for (const [kind, modes] of Object.entries(deliveryScenarios)) {
  for (const [mode, fresh] of Object.entries(modes)) {
    test(`${kind} ${mode}: what is delivered is held, and nothing else is`, async () => {
      const scenario = await fresh();
      const { session, read, keepsVersions = false } = scenario;
      const long = longOf(scenario);
      await session.plan(call());
      expect(await session.holds(call(), short)).toBe(false);
      await session.deliver(call(), short);
      expect(await session.holds(call(), short)).toBe(true);
      expect(await session.holds(call(), long)).toBe(false);
      expect((await read())?.includes('marker-a-')).toBe(true);
      await session.deliver(call(), long);
      expect(await session.holds(call(), long)).toBe(true);
      expect(await session.holds(call(), short)).toBe(keepsVersions);
    });

    test(`${kind} ${mode}: delivering again, and delivering the previous one back, give the same bytes`, async () => {
      const scenario = await fresh();
      const { session, read } = scenario;
      const long = longOf(scenario);
      await session.deliver(call(), short);
      const first = await read();
      await session.deliver(call(), short);
      expect(await read()).toEqual(first);
      await session.deliver(call(), long);
      await session.deliver(call(), short);
      expect(await read()).toEqual(first);
    });

    test(`${kind} ${mode}: a change by hand is noticed and repaired, or the session says that nobody can see it`, async () => {
      const { session, tamper } = await fresh();
      await session.deliver(call(), short);
      await tamper();
      expect(await session.holds(call(), short)).toBe(session.unseen === true);
      if (session.unseen) expect(session.warnings).toHaveLength(1);
      await session.deliver(call(), short);
      expect(await session.holds(call(), short)).toBe(true);
    });

    test(`${kind} ${mode}: a reader never sees a part of a version`, async () => {
      const scenario = await fresh();
      const { session, read } = scenario;
      const long = longOf(scenario);
      const whole: Buffer[] = [];
      for (const one of [short, long]) {
        await session.deliver(call(), one);
        whole.push((await read()) as Buffer);
      }
      let done = false;
      let reads = 0;
      const reader = (async () => {
        while (!done || reads < 10) {
          const seen = await read();
          reads += 1;
          if (!whole.some((content) => seen?.equals(content))) return seen?.length ?? 'nothing';
        }
        return 'only whole versions';
      })();
      for (let round = 0; round < 20; round += 1)
        await session.deliver(call(), round % 2 === 0 ? short : long);
      done = true;
      expect(await reader).toBe('only whole versions');
    });

    test(`${kind} ${mode}: without time left nothing changes`, async () => {
      const scenario = await fresh();
      const { session, read } = scenario;
      const long = longOf(scenario);
      await session.deliver(call(), short);
      const before = await read();
      const late = session.deliver(call(0), long);
      await expect(late).rejects.toMatchObject({ code: 'call.timeout', kind: 'retryable' });
      expect(await read()).toEqual(before);
    });

    test(`${kind} ${mode}: a target that can't be written is refused early, in words, and shows no secret`, async () => {
      const { unreachable, refusedAs } = await fresh();
      await expect(unreachable.plan(call())).rejects.toMatchObject({
        code: refusedAs,
        kind: 'terminal',
      });
      const error = await unreachable.deliver(call(), short).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({
        code: refusedAs,
        message: expect.stringContaining(unreachable.target),
      });
      expect(inspect(error, { depth: 9 })).not.toContain('marker');
      expect(await unreachable.holds(call(), short)).toBe(false);
    });
  }
}

import { inspect } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { Call } from '../../core/call.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { ConsumerProof, Going, RolloutSession } from '../../workers/rollouts/rollout.ts';
import { stopTestCluster } from '../setup/cluster.ts';
import { sampled } from '../setup/matrix.ts';
import { rolloutScenarios } from './rollouts-scenarios.ts';

const registered = rollouts({ allowedCommands: [], clusters: noClusters }).map(({ kind }) => kind);
const call = (ms = 30_000, clock: Clock = systemClock): Call => ({
  deadline: Deadline.after(ms),
  fence: 1n,
  clock,
  random: cryptoRandom,
  log: silentLog,
});
const version = (versionId: string): Credential => ({
  versionId,
  identity: 'app',
  fields: { username: 'app' },
  secrets: { password: SecretValue.of('marker') },
});

/** An hour later: whatever has a time of its own by the worker's clock is over. */
const later: Clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + 3_600_000) };

/** As the step does: asks again until it is there. */
async function moved(
  session: RolloutSession,
  to: Credential,
  going: Going = 'forward',
  clock: Clock = systemClock,
): Promise<ConsumerProof> {
  for (let tries = 0; tries < 600; tries += 1) {
    const seen = await session.move(call(30_000, clock), to, going);
    if (!('notYet' in seen)) return seen;
    await systemClock.sleep(50);
  }
  throw new Error(`${session.consumer} did not move`);
}

afterAll(stopTestCluster);

test('every registered rollout has a scenario here, and every scenario a rollout', () => {
  expect(Object.keys(rolloutScenarios).sort()).toEqual([...registered].sort());
});

for (const [kind, modes] of Object.entries(rolloutScenarios)) {
  for (const [mode, fresh] of sampled(Object.entries(modes), 2)) {
    test(`${kind} ${mode}: a healthy consumer moves, moves again, and moves back, each time with a proof`, async () => {
      const { session, proves, deliver, running } = await fresh();
      await session.plan(call());
      for (const [versionId, going] of [
        ['v1', 'forward'],
        ['v1', 'forward'],
        ['v0', 'back'],
      ] as const) {
        await deliver(versionId);
        const proof = await moved(session, version(versionId), going);
        expect(proof).toMatchObject({ consumer: 'shop', healthy: true });
        expect(proof.version).toBe(proves === 'nothing' ? 'acknowledged' : proves);
        expect(proof.detail).toMatch(proves === 'nothing' ? /not observed.*reads the file/ : /./);
        expect(inspect(proof)).not.toContain('marker');
        expect(await running()).toBe(versionId);
      }
    });

    // `none` reloads nothing and sees nothing, and says so in its proof: the rest asks for what it doesn't claim.
    if (kind === 'none') continue;

    test(`${kind} ${mode}: an ill consumer is refused by plan, and not proven by move`, async () => {
      const { session, breakDown } = await fresh();
      await breakDown('health');
      for (const attempt of [
        () => session.plan(call()),
        () => moved(session, version('v0'), 'forward', later),
      ]) {
        const error = await attempt().catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'rollout.unhealthy', kind: 'terminal' });
        expect(inspect(error, { depth: 9 })).not.toContain('marker');
      }
    });

    test(`${kind} ${mode}: without time left nothing is reloaded, and one that runs the other version is not proven`, async () => {
      const { session, deliver, running, byDelivery, otherVersionAs } = await fresh();
      await deliver('v1');
      await expect(session.move(call(0), version('v1'), 'forward')).rejects.toMatchObject({
        code: 'call.timeout',
      });
      if (!byDelivery) expect(await running()).toBe('v0');
      const moving = session.move(call(), version('v2'), 'forward');
      if (otherVersionAs === 'not yet') {
        expect(await moving).toEqual({ notYet: expect.any(String) });
        return;
      }
      await expect(moving).rejects.toMatchObject(
        otherVersionAs ?? { code: 'rollout.unhealthy', kind: 'terminal' },
      );
    });

    test(`${kind} ${mode}: a refused reload is retryable, and nothing has moved`, async () => {
      const scenario = await fresh();
      const { session, deliver, running, breakDown, refusedAs = 'rollout.reload-failed' } = scenario;
      await breakDown('refuses');
      await deliver('v1');
      // Where the version comes by itself, as into a volume, it is told to reload once it is there.
      await expect(moved(session, version('v1'))).rejects.toMatchObject({
        code: refusedAs,
        kind: 'retryable',
      });
      if (!scenario.byDelivery) expect(await running()).toBe('v0');
    });

    if (mode !== 'command') continue;
    test(`${kind} ${mode}: a command that the operator didn't allow is never run`, async () => {
      const { withoutCommands, deliver, running } = await fresh();
      if (!withoutCommands) throw new Error('the scenario has no session without commands');
      await deliver('v1');
      for (const attempt of [
        () => withoutCommands.plan(call()),
        () => withoutCommands.move(call(), version('v1'), 'forward'),
      ]) {
        await expect(attempt()).rejects.toMatchObject({
          code: 'rollout.command-not-allowed',
          kind: 'terminal',
        });
      }
      expect(await running()).toBe('v0');
    });
  }
}

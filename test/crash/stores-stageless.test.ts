import { afterEach, describe, expect, test } from 'vitest';
import { getRotation } from '../../ledger/rotations.ts';
import { stagelessStores } from '../../stores/registry.ts';
import type { Disturb } from '../doubles/http-double.ts';
import { WHOLE } from '../setup/matrix.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';
import { STAGELESS, type StagelessTarget } from './stageless-kinds.ts';

let stage: Stage | undefined;
let target: StagelessTarget | undefined;
afterEach(async () => {
  await stage?.stop();
  await target?.stop();
  stage = undefined;
  target = undefined;
});

test('every registered store without stages is in the crash matrix', () => {
  expect(Object.keys(STAGELESS).sort()).toEqual(stagelessStores.map(({ kind }) => kind).sort());
});

/** Kills the worker that writes, and the call with it: the first time before it has acted, then after, then never again. */
function killer(worker: () => Promise<StartedWorker>) {
  const killed: string[] = [];
  const disturb: Disturb = async (moment, { method, path }) => {
    const when = (['before', 'after'] as const)[killed.length];
    if (moment !== when || method === 'GET' || path.endsWith('/authenticate')) return undefined;
    killed.push(`${when} ${method} ${path}`);
    const { process: child, exited } = await worker();
    child.kill('SIGKILL');
    await exited;
    return 'cut';
  };
  return { disturb, killed };
}

async function killedAt(point: string, id: string): Promise<void> {
  const worker = await (stage as Stage).startWorker({ point, signal: 'SIGKILL' });
  expect(await worker.exited, `${point}\n${worker.output()}\n${await stage?.journal(id)}`).toBe('SIGKILL');
}

/** Workers one after the other, until the rotation has ended. */
async function finished(id: string, begun: { worker: Promise<StartedWorker> }) {
  const on = stage as Stage;
  for (let workers = 0; workers < 20; workers += 1) {
    begun.worker = on.startWorker();
    await Promise.race([(await begun.worker).exited, on.ended(id)]);
    const rotation = await getRotation(on.test.ledger, id);
    if (['done', 'rolled-back', 'needs-human'].includes(rotation.state)) return rotation;
  }
  throw new Error(`rotation ${id} did not end:\n${await on.journal(id)}`);
}

describe.each(Object.keys(STAGELESS))('versions in %s, which knows no stages', (kind) => {
  const begin = async () => {
    target = await (STAGELESS[kind] as () => Promise<StagelessTarget>)();
    stage = await setStage((ledgerUrl) => ledgerUrl, { store: target.store });
    const { app } = stage;
    const place = { engine: 'postgres', host: '127.0.0.1', port: app.port, dbname: app.name };
    await target.put(JSON.stringify({ ...place, ...app.initial }));
    return { target, stage, begun: { worker: new Promise<StartedWorker>(() => undefined) } };
  };

  test('workers killed around steps and before and after each write: done, proven, and readable in the store', {
    timeout: 120_000,
  }, async () => {
    const { target, stage, begun } = await begin();
    const id = await stage.startRotation(target.unreadable ? {} : { initialFrom: undefined });
    await killedAt('forward:generate:performed', id);
    const { disturb, killed } = killer(() => begun.worker);
    target.disturb(disturb);
    const rotation = await finished(id, begun);
    const told = `${killed.join('\n')}\n${await stage.journal(id)}`;
    expect(killed, told).toHaveLength(2);
    expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
    const held = stage.client.held();
    expect(JSON.parse(await target.current()), told).toMatchObject({
      username: held.username,
      password: held.password,
    });
    expect(await stage.storedPassword(), told).toBe(held.password);
    expect(stage.client.refusals, told).toEqual([]);
  });

  if (WHOLE)
    test('a rotation that turns back leaves in the store what was there before, whoever is killed on the way', {
      timeout: 120_000,
    }, async () => {
      const { target, stage, begun } = await begin();
      const id = await stage.startRotation(target.unreadable ? {} : { initialFrom: undefined });
      await killedAt('forward:publish:performed', id);
      const { newVersion } = await getRotation(stage.test.ledger, id);
      stage.client.healthyWith = (versionId) => versionId !== newVersion;
      const { disturb, killed } = killer(() => begun.worker);
      target.disturb(disturb);
      const rotation = await finished(id, begun);
      const told = `${killed.join('\n')}\n${await stage.journal(id)}`;
      expect(killed, told).toHaveLength(2);
      expect(rotation.state, told).toBe('rolled-back');
      expect(JSON.parse(await target.current()), told).toMatchObject(stage.app.initial);
      expect(stage.client.refusals, told).toEqual([]);
    });
});

import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import type { Disturb, HttpDouble } from '../doubles/http-double.ts';
import { startKeyVault, type TestKeyVault } from '../setup/key-vault.ts';
import { type LatestReader, startLatestReader } from '../setup/latest-reader.ts';
import { sampled } from '../setup/matrix.ts';
import { startSecretManager, type TestSecretManager } from '../setup/secret-manager.ts';
import { type Stage, type StartedWorker, setStage } from './stage.ts';

/**
 * Stores that know no stages: whoever names no version reads the newest. Workers are killed before and after each call
 * that changes something, while such a reader logs in all the time.
 */
interface Kind {
  readonly store: (name: string) => RotationSpec['store'];
  readonly double: () => HttpDouble;
  readonly put: (name: string, document: string) => void;
  /** As a consumer that names no version; throws what the store would refuse. */
  readonly latest: (name: string) => string;
  /** Calls at which a worker dies, before and after each: `METHOD path`, in the order in which they come. The last publishes. */
  readonly points: readonly RegExp[];
  /** Calls that come when it is published: nobody makes them again, so each has a rotation of its own. */
  readonly late: readonly RegExp[];
}

let azure: TestKeyVault;
let google: TestSecretManager;
let stage: Stage | undefined;
let reader: LatestReader | undefined;

beforeAll(async () => {
  azure = await startKeyVault();
  google = await startSecretManager();
});
afterEach(async () => {
  for (const double of [azure.vault, google.google]) double.disturb = () => Promise.resolve(undefined);
  await reader?.stop();
  await stage?.stop();
  [reader, stage] = [undefined, undefined];
});
afterAll(async () => {
  await azure.stop();
  await google.stop();
});

const KINDS: Readonly<Record<string, Kind>> = {
  azureKeyVault: {
    store: (path) => ({ kind: 'azureKeyVault', spec: { vaultUrl: azure.vault.url }, path }),
    double: () => azure.vault,
    put: (name, document) => azure.vault.put(name, document),
    latest: (name) => {
      const version = azure.vault.latest(name);
      if (!version?.enabled) throw new Error('403 SecretDisabled');
      return version.value;
    },
    points: [
      // What was there before, which is kept.
      /^PUT .*---rotor-[0-9a-f-]{36}$/,
      /^PUT .*---rotor-stages$/,
      // The new one.
      /^PUT .*---rotor-[0-9a-f-]{36}$/,
      /^PUT .*---rotor-turn-/,
      /^PUT \/secrets\/shop-[0-9a-f-]{36}$/,
    ],
    late: [/^DELETE .*---rotor-turn-/, /^PATCH .*---rotor-stages/],
  },
  gcpSecretManager: {
    store: (path) => ({
      kind: 'gcpSecretManager',
      spec: { project: 'shop-1', endpoint: google.google.url, alias: 'in-use' },
      path,
    }),
    double: () => google.google,
    put: (name, document) => google.google.put(`projects/shop-1/secrets/${name}`, document),
    latest: (name) => google.google.read(`projects/shop-1/secrets/${name}`),
    points: [
      /^POST .*\/secrets$/,
      /^POST .*---rotor:addVersion$/,
      /^PATCH .*---rotor$/,
      // The decision to publish, and the publication.
      /^PATCH .*---rotor$/,
      /^POST .*\/shop-[0-9a-f-]{36}:addVersion$/,
    ],
    late: [/^PATCH .*\/shop-[0-9a-f-]{36}$/],
  },
};

/** Kills the worker when a call comes by; the call is acted on (`after`) or never arrives (`before`). */
function killedAt(
  double: HttpDouble,
  worker: () => Promise<StartedWorker>,
  point: RegExp,
  when: string,
): Promise<void> {
  let hit = false;
  const disturb: Disturb = async (moment, { method, path, headers }) => {
    // Without a token a request is only answered with the question for one.
    if (hit || moment !== when || !headers.authorization || !point.test(`${method} ${path}`))
      return undefined;
    hit = true;
    const { process: doomed, exited } = await worker();
    doomed.kill('SIGKILL');
    await exited;
    return 'cut';
  };
  double.disturb = disturb;
  return expect.poll(() => hit, { timeout: 30_000, message: `${when} ${point}` }).toBe(true);
}

test.each(Object.keys(KINDS))(
  '%s: workers killed before and after each change; whoever reads the newest version is never refused',
  { timeout: 240_000 },
  async (which) => {
    const kind = KINDS[which] as Kind;
    const name = `shop-${randomUUID()}`;
    stage = await setStage((ledgerUrl) => ledgerUrl, { store: kind.store(name) });
    const { app, client, spec } = stage;
    const existing = { engine: 'postgres', host: '127.0.0.1', port: app.port, dbname: app.name };
    kind.put(name, JSON.stringify({ ...existing, ...app.initial, team: 'shop' }));
    const read = () => kind.latest(name);
    reader = startLatestReader(read);
    // Who reads right before it changes logs in a moment later: that is what the grace time is for.
    const settle = { ...spec.settle, graceMs: 1_000 };
    const rotated = async (deaths: readonly (readonly [RegExp, 'before' | 'after'])[]) => {
      const id = await (stage as Stage).startRotation({ initialFrom: undefined, settle });
      for (const [point, when] of deaths) {
        // It may come by before it has said that it is ready.
        const worker = (stage as Stage).startWorker();
        await killedAt(kind.double(), () => worker, point, when);
        expect(await (await worker).exited).toBe('SIGKILL');
      }
      kind.double().disturb = () => Promise.resolve(undefined);
      const last = await (stage as Stage).startWorker();
      const rotation = await (stage as Stage).ended(id);
      last.process.kill('SIGKILL');
      await last.exited;
      const told = (await stage?.journal(id)) ?? '';
      expect(rotation, told).toMatchObject({ state: 'done', recovered: true });
      expect(told).toContain('"oldRefused":true');
      expect(client.held(), told).toMatchObject({ versionId: rotation.newVersion });
      expect(JSON.parse(read()), told).toMatchObject({ password: client.held().password, team: 'shop' });
      expect(reader?.refusals, told).toEqual([]);
      expect(client.refusals, told).toEqual([]);
    };
    await rotated(
      sampled(kind.points, 2).flatMap((point) => [[point, 'before'] as const, [point, 'after'] as const]),
    );
    const moved = reader;
    await expect.poll(() => moved.logins.at(-1), { timeout: 20_000 }).toBe(app.roles[1]);
    expect(moved.logins).toContain(app.roles[0]);
    for (const point of sampled(kind.late, 2)) await rotated([[point, 'before']]);
  },
);

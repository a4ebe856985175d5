import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { getPolicy, setPaused } from '../../ledger/policies.ts';
import { listResources } from '../../ledger/resources.ts';
import {
  type Answered,
  condition,
  type Replica,
  randomPolicy,
  type Stage,
  setStage,
} from './custom-resources-stage.ts';

vi.setConfig({ testTimeout: 300_000 });

let stage: Stage;
let rotor: Replica;

beforeAll(async () => {
  stage = await setStage();
  rotor = await stage.rotor();
});
afterAll(() => stage.close());

const ready = (object: Answered) => condition(object, 'Ready');
const accepted = (object: Answered) => condition(object, 'Accepted');
const isReady = (object: Answered) => ready(object)?.status === 'True';
const policy = (name: string, more?: object, annotations?: object) =>
  randomPolicy(name, stage.namespace, more, annotations);
const apply = (name: string, more?: object, annotations?: object) =>
  stage.apply('rotationpolicies', policy(name, more, annotations));
const until = (name: string, wanted: (object: Answered) => unknown) =>
  stage.until('rotationpolicies', name, wanted);
const inLedger = (name: string) => getPolicy<Answered>(stage.ledger, `${stage.namespace}/${name}`);
const reasons = async (name: string) => (await stage.events(name)).map(({ reason }) => reason).sort();

const provider = (name: string) => ({
  apiVersion: 'rotor.dev/v1alpha1',
  kind: 'Provider',
  metadata: { name },
  spec: {
    postgres: {
      url: 'postgres://127.0.0.1:1/shop',
      admin: { username: 'rotor', passwordFrom: { file: '/nowhere' } },
    },
  },
});
const withProvider = {
  provider: 'shop-db',
  credential: { postgres: { mode: 'single-user', role: 'shop', acknowledgeNoOverlap: true } },
};

describe('a policy that is applied as a custom resource', () => {
  test('is in force, rotates when the annotation asks for it, and says how it went', async () => {
    await apply('cookie', { schedule: { every: '30d' } });
    const fresh = await until('cookie', (object) => object.status?.nextRotationAt);
    expect(accepted(fresh)).toMatchObject({ status: 'True', observedGeneration: 1 });
    expect(ready(fresh)).toMatchObject({ status: 'False', reason: 'NeverRotated' });
    expect(fresh.status).toMatchObject({ observedGeneration: 1, state: 'new' });

    await stage.annotate('cookie', 'first');
    const done = await until('cookie', isReady);
    const [rotation] = await stage.rotations('cookie');
    expect(rotation).toMatchObject({ state: 'done', trigger: 'manual', requestedBy: 'kubernetes' });
    expect(done.status).toMatchObject({
      state: 'current',
      lastRotation: { id: rotation?.id, state: 'done' },
      credentialVersion: rotation?.newVersion,
      lastRotateNow: 'first',
    });
    expect(done.status.lastRotatedAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z$/);
    expect(condition(done, 'Rotating')).toMatchObject({ status: 'False', reason: 'Idle' });

    const { body } = await stage.cluster.call('GET', `/api/v1/namespaces/${stage.namespace}/secrets/cookie`);
    const secret = Buffer.from(body.data.value, 'base64').toString();
    expect(secret.length).toBeGreaterThan(20);
    const told = JSON.stringify([done, await stage.events('cookie')]);
    for (const form of [secret, body.data.value]) expect(told).not.toContain(form);
    expect(await reasons('cookie')).toEqual(['RotationDone', 'RotationStarted']);
    expect(await stage.rotations('cookie')).toHaveLength(1);
  });

  test('keeps everything as it was applied but its status', async () => {
    const { body } = await apply('kept', {}, { 'rotor.dev/rotate-now': '1', 'example.org/note': 'x' });
    const done = await until('kept', isReady);
    expect(done.spec).toEqual(body.spec);
    expect(done.metadata.annotations).toEqual(body.metadata.annotations);
    expect(done.metadata.generation).toBe(1);
    expect(done.metadata.finalizers).toBeUndefined();
    const ours = done.metadata.managedFields.filter(({ manager }: Answered) => manager === 'rotor');
    expect(ours).toMatchObject([{ operation: 'Apply', subresource: 'status' }]);
    expect(Object.keys(ours[0].fieldsV1)).toEqual(['f:status']);
  });

  test('rotates once for a value of the annotation, however often it is set', async () => {
    await apply('counted', {}, { 'rotor.dev/rotate-now': 'a' });
    await until('counted', isReady);
    await stage.annotate('counted', 'b');
    await until('counted', ({ status }) => status.lastRotateNow === 'b' && status.state === 'current');
    await stage.annotate('counted', 'a');
    await until('counted', ({ status }) => status.lastRotateNow === 'a' && status.state === 'current');
    expect(await stage.rotations('counted')).toHaveLength(2);
  });

  test('rotates after an open rotation when the annotation comes while that runs', async () => {
    await apply('queued', { settle: { grace: '2s' } }, { 'rotor.dev/rotate-now': '1' });
    await until('queued', isReady);
    await stage.annotate('queued', '2');
    await until('queued', ({ status }) => status.lastRotateNow === '2' && status.state === 'rotating');
    await stage.annotate('queued', '3');
    const waiting = await until('queued', (it) => condition(it, 'Rotating')?.message.includes('"3" waits'));
    expect(waiting.status.lastRotateNow).toBe('2');
    expect(ready(waiting).status).toBe('True');
    await until('queued', ({ status }) => status.lastRotateNow === '3' && status.state === 'current');
    expect(await stage.rotations('queued')).toHaveLength(3);
  });

  test('says that a rotation was rolled back, and why', async () => {
    const nowhere = { deliver: [{ secret: { name: 'x', namespaces: ['rotor-is-not-here'] } }] };
    await apply('failing', nowhere, { 'rotor.dev/rotate-now': '1' });
    const failed = await until('failing', (it) => ready(it)?.reason === 'RolledBack');
    expect(failed.status.state).toBe('rolled-back');
    expect(ready(failed).message).toContain('rotor-is-not-here');
    expect(await reasons('failing')).toEqual(['RotationRolledBack', 'RotationStarted']);
  });

  test('says that it is suspended or paused', async () => {
    await apply('asleep', { suspend: true, schedule: { every: '1d' } });
    const suspended = await until('asleep', (it) => ready(it)?.reason === 'Suspended');
    expect(suspended.status).toMatchObject({ state: 'suspended' });
    expect(suspended.status.nextRotationAt).toBeUndefined();
    await apply('asleep', { suspend: false, schedule: { every: '1d' } });
    await until('asleep', ({ status }) => status.nextRotationAt && status.observedGeneration === 2);
    await setPaused(stage.ledger, true, `${stage.namespace}/asleep`);
    const paused = await until('asleep', (it) => ready(it)?.reason === 'Paused');
    expect(paused.status.state).toBe('paused');
  });
});

describe('a custom resource that is wrong', () => {
  test.each<[string, object, string]>([
    ['without a kind of credential', { credential: {} }, 'needs exactly one of: postgres, random'],
    ['whose provider is missing', { credential: withProvider.credential }, 'spec.provider'],
    ['whose provider has no use', { provider: 'x' }, 'has no use for a random credential'],
    [
      'whose grace is longer than its timeout',
      { settle: { grace: '2h', timeout: '90m' } },
      'grace must not be longer than timeout',
    ],
    ['whose grace is longer than its deadline', { deadline: '5m', settle: { grace: '1h' } }, 'deadline'],
    ['with an empty schedule', { schedule: {} }, 'needs cron, every or maxAge'],
    ['with two schedules', { schedule: { cron: '0 0 * * *', every: '1d' } }, 'every excludes cron'],
    ['with a duration that is none', { deadline: 'soon' }, 'spec.deadline'],
    ['apart from itself', { apart: { from: ['wrong'], atLeast: '1h' } }, 'must not name this policy itself'],
    [
      'with fields of another mode',
      { provider: 'p', credential: { postgres: { mode: 'single-user', owner: 'x' } } },
      'is required for mode single-user',
    ],
    [
      'with two consumers of one name',
      { consumers: [1, 2].map(() => ({ name: 'a', none: { acknowledged: true, reason: 'x' } })) },
      'consumers',
    ],
    ['with a field that nobody knows', { shedule: { every: '1d' } }, 'shedule'],
  ])('is refused by the API server: %s', async (_, more, words) => {
    const { status, body } = await apply('wrong', more);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body.message).toContain(words);
  });

  test('and that the API server lets in says so with field and message, and is accepted when mended', async () => {
    await apply('odd', { schedule: { cron: '61 * * * *' }, settle: { grace: '9d', timeout: '1d' } });
    const refused = await until('odd', (it) => accepted(it)?.status === 'False');
    expect(accepted(refused)).toMatchObject({ reason: 'ManifestInvalid', observedGeneration: 1 });
    expect(accepted(refused).message).toContain('spec.schedule.cron has a field out of range');
    expect(accepted(refused).message).toContain('spec.settle.grace must not be longer than `settle.timeout`');
    expect(ready(refused)).toMatchObject({ status: 'False', reason: 'NotAccepted' });
    expect(refused.status.state).toBe('invalid');
    expect(await reasons('odd')).toEqual(['ManifestInvalid']);
    await expect(inLedger('odd')).rejects.toThrow('there is no policy');

    await apply('odd', { schedule: { cron: '6 * * * *' } });
    const mended = await until('odd', (it) => accepted(it)?.status === 'True');
    expect(mended.status).toMatchObject({ observedGeneration: 2, state: 'new' });
    expect((await inLedger('odd')).spec.schedule.cron).toBe('6 * * * *');
  });

  test('leaves what was accepted before in force', async () => {
    await apply('before', { deadline: '1h' });
    await until('before', (it) => accepted(it)?.status === 'True');
    await apply('before', { deadline: '2h', schedule: { cron: 'never' } });
    const refused = await until('before', (it) => accepted(it)?.status === 'False');
    expect(accepted(refused).message).toContain('what was accepted before stays in force');
    expect((await inLedger('before')).spec.deadlineMs).toBe(3_600_000);
  });

  test('because a secret is written in it repeats none of it', async () => {
    await stage.apply('providers', {
      ...provider('leaky'),
      spec: { postgres: { url: 'postgres://admin:marker-value@db/x' } },
    });
    const refused = await stage.until('providers', 'leaky', (it) => accepted(it)?.status === 'False');
    expect(JSON.stringify([refused.status, await stage.events('leaky')])).not.toContain('marker-value');
  });
});

describe('custom resources that name each other', () => {
  test('are accepted in whatever order they come', async () => {
    await apply('shop', withProvider);
    const early = await until('shop', (it) => accepted(it)?.status === 'False');
    expect(accepted(early)).toMatchObject({ reason: 'ReferenceMissing' });
    expect(accepted(early).message).toBe(`spec.provider there is no Provider ${stage.namespace}/shop-db`);
    await stage.apply('providers', provider('shop-db'));
    await until('shop', (it) => accepted(it)?.status === 'True');
    const known = await stage.until('providers', 'shop-db', isReady);
    expect(known.status.type).toBe('postgres');
  });

  test('in a circle are accepted together', async () => {
    await apply('left', { apart: { from: ['right'], atLeast: '1h' } });
    await until('left', (it) => accepted(it)?.status === 'False');
    await apply('right', { apart: { from: ['left'], atLeast: '1h' } });
    for (const name of ['left', 'right']) await until(name, (it) => accepted(it)?.status === 'True');
  });

  test('are gone in whatever order: a provider stays for as long as a policy uses it', async () => {
    await apply('user', { ...withProvider, provider: 'used' });
    await stage.apply('providers', provider('used'));
    await until('user', (it) => accepted(it)?.status === 'True');
    const held = async () => (await listResources(stage.ledger, 'Provider')).map(({ name }) => name);
    await stage.remove('providers', 'used');
    // A later change of the namespace has been dealt with: so has the deletion.
    await apply('marker');
    await until('marker', (it) => accepted(it)?.status === 'True');
    expect(await held()).toContain('used');
    await stage.remove('rotationpolicies', 'user');
    await expect.poll(held, { timeout: 60_000 }).not.toContain('used');
    expect((await inLedger('user')).spec.suspend).toBe(true);
  });
});

describe('a policy whose custom resource is deleted', () => {
  test('is suspended, its rotation goes on to its end, and it goes on when it is applied again', async () => {
    await apply(
      'leaving',
      { settle: { grace: '2s' }, schedule: { every: '30d' } },
      { 'rotor.dev/rotate-now': '1' },
    );
    await until('leaving', isReady);
    await stage.annotate('leaving', '2');
    await until('leaving', ({ status }) => status.state === 'rotating');
    await stage.remove('rotationpolicies', 'leaving');
    await expect.poll(async () => (await inLedger('leaving')).spec.suspend, { timeout: 60_000 }).toBe(true);
    const states = async () => (await stage.rotations('leaving')).map(({ state }) => state);
    await expect.poll(states, { timeout: 60_000 }).toEqual(['done', 'done']);
    await expect.poll(async () => (await inLedger('leaving')).nextDueAt, { timeout: 60_000 }).toBeUndefined();

    await apply('leaving', { schedule: { every: '30d' } }, { 'rotor.dev/rotate-now': '2' });
    const back = await until('leaving', (it) => isReady(it) && it.status.nextRotationAt);
    expect(back.status).toMatchObject({ state: 'current', lastRotateNow: '2' });
    expect(await stage.rotations('leaving')).toHaveLength(2);
  });
});

describe('an orchestrator that misses something', () => {
  test.runIf(process.env.ROTOR_TEST_KUBECONFIG === undefined)(
    'sees what changed while its watches were cut and the server forgot the past',
    async () => {
      const sandbox = stage.cluster.sandbox;
      if (!sandbox) throw new Error('this needs the sandbox');
      await apply('dark', { deadline: '1h' });
      await apply('lost');
      for (const name of ['dark', 'lost']) await until(name, (it) => accepted(it)?.status === 'True');
      sandbox.faults.before = ({ group, verb }) =>
        group === 'rotor.dev' && (verb === 'watch' || verb === 'list')
          ? { status: 503, reason: 'ServiceUnavailable' }
          : 'ok';
      sandbox.cutWatches();
      await apply('dark', { deadline: '2h' });
      await stage.remove('rotationpolicies', 'lost');
      await apply('late');
      sandbox.forgetHistory();
      sandbox.faults.before = () => 'ok';
      await until('dark', (it) => it.status.observedGeneration === 2);
      await until('late', (it) => accepted(it)?.status === 'True');
      await expect.poll(async () => (await inLedger('lost')).spec.suspend, { timeout: 60_000 }).toBe(true);
    },
  );

  test('and is started again does nothing twice, and answers what came meanwhile', async () => {
    await apply('steady', {}, { 'rotor.dev/rotate-now': '1' });
    await apply('vanished');
    await until('vanished', (it) => accepted(it)?.status === 'True');
    const before = await until('steady', (it) => isReady(it) && it.status.lastRotateNow === '1');
    const events = (await stage.events('steady')).map(({ metadata }) => metadata.resourceVersion);
    await rotor.stop();
    await stage.remove('rotationpolicies', 'vanished');
    await apply('born', {}, { 'rotor.dev/rotate-now': '1' });

    rotor = await stage.rotor();
    await until('born', isReady);
    await expect.poll(async () => (await inLedger('vanished')).spec.suspend, { timeout: 60_000 }).toBe(true);
    const after = await until('steady', isReady);
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    expect(await stage.rotations('steady')).toHaveLength(1);
    expect((await stage.events('steady')).map(({ metadata }) => metadata.resourceVersion)).toEqual(events);
  });
});

test('two replicas that follow the same custom resources rotate once and write every Event once', async () => {
  const second = await stage.rotor();
  try {
    const names = ['twin-a', 'twin-b', 'twin-c'];
    for (const name of names) await apply(name, {}, { 'rotor.dev/rotate-now': 'x' });
    for (const name of names) await until(name, (it) => isReady(it) && it.status.lastRotateNow === 'x');
    for (const name of names) {
      expect(await stage.rotations(name)).toHaveLength(1);
      expect(await reasons(name)).toEqual(['RotationDone', 'RotationStarted']);
    }
  } finally {
    await second.stop();
  }
});

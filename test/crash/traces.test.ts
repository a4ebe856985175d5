import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SpanStatusCode } from '@opentelemetry/api';
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { createLog, silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { getRotation } from '../../ledger/rotations.ts';
import { createToken } from '../../ledger/tokens.ts';
import { createApi } from '../../orchestrator/api/api.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { startTelemetry } from '../../orchestrator/processes/telemetry.ts';
import { rotators } from '../../rotators/registry.ts';
import { stores } from '../../stores/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { startWorkerHost, type WorkerHost } from '../../workers/host.ts';
import { openQueue, type RotationQueue } from '../../workers/queue/queue.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { Step, StepContext } from '../../workers/saga/context.ts';
import { noFaults } from '../../workers/saga/faults.ts';
import { STEPS } from '../../workers/saga/steps.ts';
import { steps } from '../../workers/steps/registry.ts';
import { encodings } from '../setup/encodings.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import { queueBackends } from './backends.ts';

type Processor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number];
type Ended = Parameters<Processor['onEnd']>[0];

const ended: Ended[] = [];
const telemetry = startTelemetry('rotor-test', {}, [
  {
    onStart: () => undefined,
    onEnd: (span) => {
      ended.push(span);
    },
    forceFlush: async () => undefined,
    shutdown: async () => undefined,
  },
]);
afterAll(() => telemetry.shutdown());

const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };

describe.each(queueBackends())('one rotation in traces and metrics, queue on $name', ({ url, skipped }) => {
  let app: Application;
  let ledger: TestLedger;
  let queue: RotationQueue;
  let host: WorkerHost;
  /** Every secret that was there. */
  let secrets: string[];
  let request: (path: string, type?: string, body?: string) => Promise<Response>;

  beforeEach(async () => {
    if (skipped) return;
    ended.length = 0;
    [app, ledger] = await Promise.all([anApplication(), freshLedger()]);
    secrets = [app.initial.password, 'admin-password'];
    const named = {
      url: SecretValue.of(url(ledger.url.reveal())),
      log: silentLog,
      name: `traces-${app.name}`,
    };
    const registries = {
      rotators,
      stores: stores({ keyring: Keyring.generate() }),
      deliveries: deliveries({ clusters: noClusters }),
      rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
    };
    queue = await openQueue(named);
    const parts = {
      ledger: ledger.ledger,
      registries,
      clock: systemClock,
      random: cryptoRandom,
      fingerprintKey: SecretValue.of('traces'),
    };
    let told = false;
    const plain = steps.verify as Step;
    host = await startWorkerHost({
      saga: {
        ...parts,
        log: createLog('worker', { level: 'silent' }),
        faults: noFaults,
        worker: 'tracer',
        leaseMs: 10_000,
        steps: {
          ...steps,
          verify: {
            ...plain,
            // A driver that quotes what it was given, once.
            perform: async (context: StepContext) => {
              const done = await plain.perform(context);
              const secret = (await context.newCredential()).secrets.password?.reveal() ?? '';
              if (told) return done;
              told = true;
              secrets.push(secret);
              throw Object.assign(new Error(`the server says: no password "${secret}"`), { detail: secret });
            },
          },
        },
      },
      queueUrl: named.url,
      queueName: named.name,
      concurrency: 2,
      // Seldom: it's the queue that wakes the worker here.
      sweepMs: 60_000,
    });
    const orchestrator: Orchestrator = {
      ...parts,
      log: silentLog,
      localStore: { kind: 'local', spec: { path: join(app.folder, 'store') } },
      anchorFile: undefined,
      wake: (id) => queue.wake(id, 'start'),
      wakeIncident: async () => undefined,
    };
    const api = createApi(orchestrator, { metrics: () => telemetry.metrics() });
    const token = (await createToken(ledger.ledger, 'admin', 'admin')).reveal();
    secrets.push(token);
    request = async (path, type = 'application/json', body = '{}') =>
      api.request(path, {
        method: 'POST',
        body,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': type,
          traceparent: `00-${CALLER.traceId}-${CALLER.spanId}-01`,
        },
      });
    await writeManifests();
  });
  afterEach(async () => {
    await host?.close();
    await queue?.close();
    await ledger?.drop();
    await app?.drop();
  });

  async function writeManifests(): Promise<void> {
    const initialFile = join(app.folder, 'initial.json');
    const document = { host: '127.0.0.1', port: String(app.port), dbname: app.name, ...app.initial };
    await writeFile(initialFile, JSON.stringify({ engine: 'postgres', ...document }), { mode: 0o600 });
    const [blue, green] = app.roles;
    const applied = await request(
      '/v1/apply',
      'application/yaml',
      `
apiVersion: rotor.dev/v1alpha1
kind: Provider
metadata: { name: db }
spec:
  postgres: ${JSON.stringify(app.provider({ tls: { mode: 'disable' } }))}
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: app }
spec:
  provider: db
  credential: { postgres: { mode: alternating-users, roles: [${blue}, ${green}], owner: ${app.owner} } }
  initialFrom: { file: ${initialFile} }
  store: { path: shop/app }
  deliver: [{ file: { path: ${join(app.folder, 'credential.json')}, format: json } }]
  settle: { grace: 2s, evidence: sessions, timeout: 30s, onTimeout: roll-back }
`,
    );
    expect(await applied.text()).toContain('app');
    expect(applied.status).toBe(200);
  }

  test.skipIf(skipped)('one trace from the request to every step, and no secret in it', async () => {
    const answer = await request('/v1/policies/default/app/rotate');
    const { rotation: id } = (await answer.json()) as { rotation: string };
    await expect
      .poll(async () => (await getRotation(ledger.ledger, id)).state, { timeout: 30_000 })
      .toMatch(/done|rolled-back|needs-human/);
    expect((await getRotation(ledger.ledger, id)).state).toBe('done');
    const turnsOf = () =>
      ended.filter(
        ({ name, attributes }) => name === 'rotor.rotation' && attributes['rotor.rotation.id'] === id,
      );
    await expect
      .poll(() => turnsOf().map(({ attributes }) => attributes['rotor.state']))
      .toEqual(['waiting', 'done']);

    // A job ends a moment after the turn that it woke.
    await expect
      .poll(() => turnsOf().every((turn) => ended.some((span) => isParent(span, turn))), { timeout: 10_000 })
      .toBe(true);
    const spans = new Map(ended.map((span) => [span.spanContext().spanId, span]));
    const parentOf = (span: Ended) => spans.get(span.parentSpanContext?.spanId ?? '');
    const ancestors = (span: Ended): Ended[] => {
      const parent = parentOf(span);
      return parent ? [parent, ...ancestors(parent)] : [];
    };
    const [request_] = ended.filter(({ name }) => name === 'rotor.request') as [Ended];
    expect(request_.parentSpanContext).toMatchObject(CALLER);
    expect(request_.attributes).toEqual({
      'rotor.policy': 'default/app',
      'rotor.trigger': 'manual',
      'rotor.rotation.id': id,
    });
    for (const turn of turnsOf()) {
      const above = ancestors(turn);
      // The job that woke the worker, what put it there, and so on up to the request.
      expect(above.length, names(above)).toBeGreaterThanOrEqual(3);
      expect(names(above)).toMatch(/^process \S+, add \S+.*, rotor\.request$/);
      expect(turn.attributes).toMatchObject({
        'rotor.policy': 'default/app',
        'rotor.worker': 'tracer',
      });
    }
    const done = ended.filter(({ name }) => name === 'rotor.step');
    const forward = done.filter(({ status }) => status.code !== SpanStatusCode.ERROR);
    expect(new Set(forward.map(({ attributes }) => attributes['rotor.step']))).toEqual(new Set(STEPS));
    for (const step of done) {
      expect(parentOf(step)?.name).toBe('rotor.rotation');
      expect(step.attributes['rotor.direction']).toBe('forward');
    }
    for (const span of [request_, ...turnsOf(), ...done])
      expect(span.spanContext().traceId, span.name).toBe(CALLER.traceId);

    const failed = done.filter(({ status }) => status.code === SpanStatusCode.ERROR);
    expect(failed.map(({ attributes, status }) => [attributes['rotor.step'], status.message])).toEqual([
      ['verify', 'internal.bug'],
    ]);
    const delivered = JSON.parse(await readFile(join(app.folder, 'credential.json'), 'utf8'));
    secrets.push(delivered.password);
    expect(new Set(secrets)).toHaveLength(4);
    const told = ended.map(({ name, attributes, events, status, links, resource, parentSpanContext }) =>
      JSON.stringify([name, attributes, events, status, links, resource.attributes, parentSpanContext]),
    );
    const metrics = await telemetry.metrics();
    for (const secret of secrets)
      for (const encoded of encodings(secret))
        for (const text of [...told, metrics]) expect(text.includes(encoded), text.slice(0, 80)).toBe(false);
  });

  test.skipIf(skipped)('the metrics count it, and measure about what it took', async () => {
    const before = numbers(await telemetry.metrics());
    const startedAt = performance.now();
    const { rotation: id } = (await (await request('/v1/policies/default/app/rotate')).json()) as {
      rotation: string;
    };
    await expect
      .poll(async () => numbers(await telemetry.metrics()).get('rotor_rotations_total{state="done"}') ?? 0, {
        timeout: 30_000,
      })
      .toBe((before.get('rotor_rotations_total{state="done"}') ?? 0) + 1);
    const took = (performance.now() - startedAt) / 1_000;
    expect((await getRotation(ledger.ledger, id)).state).toBe('done');
    const after = numbers(await telemetry.metrics());
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(grown('rotor_rotation_duration_seconds_count{state="done"}')).toBe(1);
    const seconds = grown('rotor_rotation_duration_seconds_sum{state="done"}');
    expect(seconds).toBeGreaterThan(2);
    expect(seconds).toBeLessThan(took + 1);
    for (const step of STEPS) {
      const labels = `{direction="forward",step="${step}"}`;
      const other = `{step="${step}",direction="forward"}`;
      const count =
        grown(`rotor_step_duration_seconds_count${labels}`) +
        grown(`rotor_step_duration_seconds_count${other}`);
      const sum =
        grown(`rotor_step_duration_seconds_sum${labels}`) + grown(`rotor_step_duration_seconds_sum${other}`);
      expect(count, step).toBeGreaterThanOrEqual(1);
      expect(sum, step).toBeGreaterThan(0);
      expect(sum, step).toBeLessThan(took);
    }
  });
});

const isParent = (span: Ended, child: Ended) => span.spanContext().spanId === child.parentSpanContext?.spanId;
const names = (spans: readonly Ended[]) => spans.map(({ name }) => name).join(', ');

/** The samples of a page in Prometheus' text format, by name and labels (without those of the library). */
function numbers(page: string): ReadonlyMap<string, number> {
  const samples = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const space = line.lastIndexOf(' ');
      const name = line
        .slice(0, space)
        .replace(/,?otel_scope_[a-z_]+="[^"]*"/g, '')
        .replace('{,', '{');
      return [name, Number(line.slice(space))];
    }),
  );
}

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { endTarget } from '../../ledger/incident-targets.ts';
import { messagesOf } from '../../ledger/messages.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { applyResource } from '../../ledger/resources.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { standardWebhooks } from '../intake/sources/standard-webhooks.ts';
import { takeReports } from '../intake/take.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { sendMessages } from './notify.ts';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

let test_: TestLedger;
let server: Server;
let url: string;
let folder: string;
let received: Received[];
let status: number;
let orchestrator: Orchestrator;

beforeEach(async () => {
  test_ = await freshLedger();
  folder = await mkdtemp(join(tmpdir(), 'rotor-notify-'));
  await writeFile(join(folder, 'secret'), 'whsec_c2hhcmVkLXNlY3JldA==\n');
  received = [];
  status = 200;
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`;
  orchestrator = {
    ledger: test_.ledger,
    registries: { rotators: [], stores: [], deliveries: [], rollouts: [] },
    clock: systemClock,
    random: cryptoRandom,
    log: silentLog,
    fingerprintKey: SecretValue.of('test'),
    localStore: { kind: 'local', spec: {} },
    anchorFile: undefined,
    wake: async () => undefined,
    wakeIncident: async () => undefined,
  };
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
  await test_.drop();
});

/** A policy with a runbook, and one that shares its store path. */
async function policies(steps: readonly object[]) {
  const { ledger } = test_;
  await applyResource(ledger, { kind: 'Runbook', namespace: 'shop', name: 'loud', spec: { steps } });
  const policy = async (name: string, more: object) => {
    const spec = {
      credential: { kind: 'random', spec: {} },
      store: { name: 'local', path: 'shop/shared' },
      deliver: [],
      consumers: [],
      settle: {},
      deadlineMs: 60_000,
      ...more,
    };
    const { uid } = await applyPolicy(ledger, { uid: randomUUID(), namespace: 'shop', name, spec });
    return uid;
  };
  return {
    leaked: await policy('leaked', { onCompromise: { runbook: 'loud' } }),
    other: await policy('other', {}),
  };
}

const report = (severity: 'high' | 'critical') =>
  takeReports(orchestrator, 'token/alice', randomUUID(), [
    {
      about: 'leak',
      type: 'a report',
      reference: 'one',
      found: [],
      hints: { policy: 'shop/leaked' },
      severity,
      validity: 'unknown',
      exposure: 'unknown',
    },
  ]);

test('a runbook tells when it is opened and when it is proven, signed, once each', async () => {
  const webhook = { url, secretFrom: { file: join(folder, 'secret') } };
  const { leaked } = await policies([
    { kind: 'rotate', spec: {} },
    { kind: 'notify', spec: { webhook, on: ['opened', 'proven', 'failed'] } },
  ]);
  const { incidents, decisions } = await report('high');
  const [incident = ''] = incidents;
  expect(decisions).toMatchObject([{ policy: 'shop/leaked', mode: 'overlap', revokeInMs: undefined }]);
  await sendMessages(orchestrator);
  await sendMessages(orchestrator);
  expect(received).toHaveLength(1);
  expect(JSON.parse(String(received[0]?.body))).toMatchObject({
    type: 'rotor.incident.opened',
    data: { incident, policy: 'shop/leaked' },
  });
  await endTarget(test_.ledger, incident, leaked, 'proven');
  await sendMessages(orchestrator);
  await sendMessages(orchestrator);
  expect(received.map(({ body }) => JSON.parse(String(body)).type)).toEqual([
    'rotor.incident.opened',
    'rotor.incident.proven',
  ]);
  // The receiver checks what we sign by the same rules as we check others.
  const [one] = received;
  const headers = one?.headers as Record<string, string>;
  await standardWebhooks.verify(
    { method: 'POST', headers, body: one?.body ?? Buffer.alloc(0) },
    { secretsFrom: [{ file: 'x' }], mayName: [], window: 300_000 },
    {
      now: new Date(),
      fetchText: async () => '',
      secrets: async () => [SecretValue.of('whsec_c2hhcmVkLXNlY3JldA==')],
    },
  );
});

test('a receiver that is down is tried again, and what went wrong is on record', async () => {
  status = 500;
  const webhook = { url, secretFrom: { file: join(folder, 'secret') } };
  await policies([
    { kind: 'rotate', spec: {} },
    { kind: 'notify', spec: { webhook, on: ['opened'] } },
  ]);
  const { incidents } = await report('high');
  await sendMessages(orchestrator);
  const [incident = ''] = incidents;
  expect(await messagesOf(test_.ledger, incident)).toMatchObject([
    { moment: 'opened', tries: 1, sentAt: null, error: expect.stringContaining('answers 500') },
  ]);
  status = 200;
  await test_.ledger.query('UPDATE rotor.incident_messages SET next_at = clock_timestamp()');
  await sendMessages(orchestrator);
  expect(await messagesOf(test_.ledger, incident)).toMatchObject([
    { tries: 2, sentAt: expect.any(Date), error: null },
  ]);
  // The same id, so that the receiver knows a repetition.
  expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
});

test('what shares something with a leaked credential is rotated too, where the runbook says so', async () => {
  const { other } = await policies([
    { kind: 'contain', spec: {} },
    { kind: 'rotate', spec: {} },
    { kind: 'related', spec: { policies: 'rotate' }, when: { severity: ['critical'] } },
  ]);
  const { decisions } = await report('critical');
  expect(decisions).toMatchObject([
    { policy: 'shop/leaked', mode: 'revoke-first' },
    { policy: 'shop/other', policyUid: other, answer: 'rotate', mode: 'overlap', matchedBy: ['related'] },
  ]);
});

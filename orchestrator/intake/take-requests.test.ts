import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forgetRequests } from '../../ledger/event-requests.ts';
import { listIncidents } from '../../ledger/incidents.ts';
import { getPolicy, setPaused } from '../../ledger/policies.ts';
import { listRotations } from '../../ledger/rotations.ts';
import { freshLedger, type TestLedger } from '../../test/setup/ledger.ts';
import { applyText, orchestratorOf, tickAt } from '../../test/setup/orchestrator.ts';
import { describeRotation } from '../operations/describe.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { readAwsEvent } from './aws-events.ts';
import { parseHooks } from './hooks-file.ts';
import { openHooks } from './receive.ts';
import { pubsub } from './sources/pubsub.ts';
import { takeRequests } from './take-requests.ts';

let test_: TestLedger;
let folder: string;
let orchestrator: Orchestrator;

beforeAll(async () => {
  test_ = await freshLedger();
  folder = await mkdtemp(join(tmpdir(), 'rotor-requests-'));
  await writeFile(join(folder, 'token'), 'shared\n');
  orchestrator = orchestratorOf(test_.ledger);
});
afterAll(async () => {
  await test_.drop();
  await rm(folder, { recursive: true, force: true });
});

/** A policy whose secret is `prod/<its name>` in Frankfurt. */
async function policy(extra = ''): Promise<string> {
  const name = `p-${randomUUID().slice(0, 8)}`;
  const text = `
apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: aws, namespace: shop }
spec: { awsSecretsManager: { region: eu-central-1, prefix: prod/ } }
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: ${name}, namespace: shop }
spec:
  credential: { random: {} }
  store: { name: aws, path: ${name} }
${extra}`;
  await applyText(orchestrator, text);
  return name;
}

const DAY = 86_400_000;
/** `RotateSecret` as EventBridge tells of it. */
function rotateSecret(name: string, { id = randomUUID() as string, region = 'eu-central-1' } = {}): string {
  return JSON.stringify({
    id,
    source: 'aws.secretsmanager',
    account: '123456789012',
    region,
    time: new Date().toISOString(),
    detail: { eventName: 'RotateSecret', requestParameters: { secretId: `prod/${name}` } },
  });
}

async function deliver(event: string, deliveryId = randomUUID() as string, source = 'hook/aws') {
  const message = readAwsEvent(event, deliveryId);
  if (message.kind !== 'rotations') throw new Error(message.kind);
  return takeRequests(orchestrator, source, deliveryId, message.requests);
}

const tickNow = (now?: Date) => tickAt(orchestrator, now);
const rotations = (name: string) => listRotations(test_.ledger, { policy: `shop/${name}` });
async function end(name: string, agoMs = 0) {
  await test_.ledger.query(
    "UPDATE rotor.rotations SET state = 'done', holds = NULL, ended_at = clock_timestamp() WHERE policy = $1",
    [`shop/${name}`],
  );
  await test_.ledger.query(
    "UPDATE rotor.policies SET last_rotated_at = clock_timestamp() - $2 * interval '1 millisecond' WHERE name = $1",
    [name, agoMs],
  );
}

describe('an event of a cloud', () => {
  test('is a rotation and no incident, and the rotation says what asked for it', async () => {
    const name = await policy();
    expect(await deliver(rotateSecret(name, { id: 'event-1' }))).toMatchObject([
      { type: 'RotateSecret', policies: [{ policy: `shop/${name}`, answer: 'waits' }] },
    ]);
    await tickNow();
    const [rotation] = await rotations(name);
    expect(rotation).toMatchObject({ trigger: 'event', requestedBy: 'hook/aws', state: 'queued' });
    expect(await describeRotation(orchestrator, rotation?.id ?? '')).toMatchObject({
      askedBy: [{ source: 'hook/aws', type: 'RotateSecret', reference: 'event event-1' }],
    });
    expect(await listIncidents(test_.ledger, 10)).toEqual([]);
  });

  test('counts once, by whichever way and however often it comes', async () => {
    const name = await policy();
    const event = rotateSecret(name);
    expect(await deliver(event, 'd-1')).toMatchObject([{ policies: [{ answer: 'waits' }] }]);
    expect(await deliver(event, 'd-1')).toBeUndefined();
    await tickNow();
    await end(name, 30 * 60_000);
    const again = await deliver(event, 'd-2', 'queue/aws');
    expect(again).toMatchObject([{ policies: [{ answer: 'repeated' }] }]);
    await tickNow();
    expect(await rotations(name)).toHaveLength(1);
  });

  test('meets many at once: one rotation, which answers all', async () => {
    const name = await policy();
    await Promise.all(Array.from({ length: 6 }, () => deliver(rotateSecret(name))));
    await Promise.all([tickNow(), tickNow()]);
    const [rotation, ...others] = await rotations(name);
    expect(others).toEqual([]);
    expect(await describeRotation(orchestrator, rotation?.id ?? '')).toMatchObject({
      askedBy: Array.from({ length: 6 }, () => expect.anything()),
    });
    expect(await deliver(rotateSecret(name))).toMatchObject([{ policies: [{ answer: 'answered' }] }]);
    await end(name);
    await tickNow();
    expect(await rotations(name)).toHaveLength(1);
  });

  test('that echoes what Rotor has just done is no request', async () => {
    const name = await policy();
    await end(name, 60_000);
    expect(await deliver(rotateSecret(name))).toMatchObject([{ policies: [{ answer: 'echo' }] }]);
    await tickNow();
    expect(await rotations(name)).toEqual([]);
  });

  test('waits for the maintenance window, and is rotated in it once', async () => {
    const day = 'Sun Mon Tue Wed Thu Fri Sat'.split(' ')[new Date(Date.now() + 2 * DAY).getUTCDay()];
    const name = await policy(
      `  schedule: { cron: '0 0 1 1 *', windows: [{ from: '10:00', to: '11:00', days: [${day}] }] }`,
    );
    await deliver(rotateSecret(name));
    await tickNow();
    expect(await rotations(name)).toEqual([]);
    const waiting = await getPolicy(test_.ledger, `shop/${name}`);
    expect(waiting.dueReason).toBe('asked for by an event, moved to the next opening');
    await tickNow(waiting.nextDueAt);
    await tickNow(waiting.nextDueAt);
    expect(await rotations(name)).toMatchObject([{ trigger: 'event' }]);
    expect((await getPolicy(test_.ledger, `shop/${name}`)).requestedAt).toBeUndefined();
  });

  test('waits while the policy is paused, and is rotated when it is resumed', async () => {
    const name = await policy();
    await setPaused(test_.ledger, true, `shop/${name}`);
    expect(await deliver(rotateSecret(name))).toMatchObject([
      { policies: [{ answer: 'waits', why: 'the policy is paused' }] },
    ]);
    await tickNow();
    expect(await rotations(name)).toEqual([]);
    await setPaused(test_.ledger, false, `shop/${name}`);
    await tickNow();
    expect(await rotations(name)).toMatchObject([{ trigger: 'event' }]);
  });

  test('of another place is answered with what was looked for', async () => {
    const name = await policy();
    expect(await deliver(rotateSecret(name, { region: 'us-east-1' }))).toMatchObject([
      { lookedFor: { names: [`prod/${name}`], within: { region: 'us-east-1' } }, policies: [] },
    ]);
    const [row] = await test_.ledger.query<{ detail: unknown }>(
      "SELECT detail FROM rotor.audit WHERE action = 'rotation.unmatched' ORDER BY id DESC LIMIT 1",
    );
    expect(row?.detail).toMatchObject({ storeKind: 'awsSecretsManager', names: [`prod/${name}`] });
  });

  test('is forgotten after a while, but for one that still waits', async () => {
    const name = await policy();
    await setPaused(test_.ledger, true, `shop/${name}`);
    await deliver(rotateSecret(name));
    await forgetRequests(test_.ledger, -1_000);
    const left = await test_.ledger.query<{ state: string }>('SELECT state FROM rotor.event_requests');
    expect(left.map(({ state }) => state)).toEqual(['waits']);
  });
});

test('a webhook of Azure makes the policy rotate whose secret is near its expiry', async () => {
  const text = `
apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: azure, namespace: shop }
spec: { azureKeyVault: { vaultUrl: "https://Shop.vault.azure.net", prefix: prod- } }
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: near-expiry, namespace: shop }
spec: { credential: { random: {} }, store: { name: azure, path: orders/db } }`;
  await applyText(orchestrator, text);
  const answer = await azure('SHOP', 'prod-orders--db');
  expect(answer).toMatchObject({
    body: { requests: [{ policies: [{ policy: 'shop/near-expiry', answer: 'waits' }] }] },
  });
  await tickNow();
  expect(await rotations('near-expiry')).toMatchObject([{ trigger: 'event', requestedBy: 'hook/azure' }]);
  // Rotor's own records beside the secret, and the same name in another vault, are nobody's.
  for (const [vault, name] of [
    ['shop', 'prod-orders--db---rotor-stages'],
    ['other', 'prod-orders--db'],
  ] as const)
    expect(await azure(vault, name)).toMatchObject({ body: { requests: [{ policies: [] }] } });
});

test('a message of Google makes the policy rotate whose project has this number', async () => {
  const text = `
apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: gcp, namespace: shop }
spec: { gcpSecretManager: { project: shop-prod, prefix: prod- } }
---
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: google, namespace: shop }
spec: { credential: { random: {} }, store: { name: gcp, path: orders/db } }`;
  await applyText(orchestrator, text);
  const ask = (messageId: string, projects: object) => {
    const attributes = { eventType: 'SECRET_ROTATE', secretId: 'projects/123456/secrets/prod-orders--db' };
    const body = Buffer.from(JSON.stringify({ message: { messageId, attributes } }));
    const settings = pubsub.settings.parse({ audience: 'a', serviceAccount: 'a@b.example', projects });
    const message = pubsub.read({ method: 'POST', headers: {}, body }, settings);
    if (message.kind !== 'rotations') throw new Error(message.kind);
    return takeRequests(orchestrator, 'hook/gcp', message.deliveryId, message.requests);
  };
  expect(await ask('m-1', {})).toMatchObject([{ policies: [] }]);
  expect(await ask('m-2', { 123456: 'shop-prod' })).toMatchObject([
    { policies: [{ policy: 'shop/google', answer: 'waits' }] },
  ]);
});

test('a webhook whose event is about nothing of ours is answered well, also the second time', async () => {
  const id = randomUUID();
  expect(await azure('Shop', 'db', id)).toMatchObject({
    status: 202,
    body: { requests: [{ lookedFor: { names: ['db'], within: { vault: 'shop' } }, policies: [] }] },
  });
  expect(await azure('Shop', 'db', id)).toMatchObject({
    status: 202,
    body: { repeated: true },
  });
});

/** An event of Event Grid as the webhook gets it. */
function azure(vault: string, secret: string, id = randomUUID() as string) {
  const file = `sources: { azure: { eventGrid: { secretsFrom: [{ file: ${join(folder, 'token')} }] } } }`;
  const event = {
    id,
    eventType: 'Microsoft.KeyVault.SecretNearExpiry',
    subject: secret,
    eventTime: new Date().toISOString(),
    data: { VaultName: vault, ObjectName: secret },
  };
  return openHooks(orchestrator, parseHooks(file, 'hooks.yaml').sources).receive('azure', '127.0.0.1', {
    method: 'POST',
    headers: { authorization: 'Bearer shared' },
    body: Buffer.from(JSON.stringify([event])),
  });
}

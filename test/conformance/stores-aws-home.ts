import { randomUUID } from 'node:crypto';
import { SecretsManager } from '@aws-sdk/client-secrets-manager';
import { SSM } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, beforeEach, test } from 'vitest';
import type { Call } from '../../core/call.ts';
import { systemClock } from '../../core/clock.ts';
import type { RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { awsParameterStore } from '../../stores/aws-parameter-store/store.ts';
import { awsSecretsManagerStore } from '../../stores/aws-secrets-manager/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import { type AwsFront, startAwsFront } from '../doubles/aws/front.ts';
import { awsEnvironment, findMoto, type Moto, startMoto } from '../setup/moto.ts';
import { callWith } from './stores-calls.ts';

const { skipped } = findMoto();
export const path = 'shop/app';
export const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()] as const;

/** The emulator of this file, and the double before it of this test. */
export const at = {} as { moto: Moto; front: AwsFront };

export function text(name: string): SecretValue {
  return SecretValue.of(JSON.stringify({ username: name, password: `pw-${name}` }));
}

/** Starts the servers of a test file, and prints at its end what it ran against. */
export function onAws(suite: string): void {
  beforeAll(async () => {
    if (!skipped) at.moto = await startMoto();
  });
  beforeEach(async () => {
    if (skipped) return;
    at.front = await startAwsFront(at.moto.port);
    Object.assign(process.env, awsEnvironment(at.front.url));
    return at.front.stop;
  });
  afterAll(async () => {
    const server = skipped ? `none${skipped}` : 'double: front of moto';
    console.table([{ store: suite, server, 'cases passed': passed }]);
    await at.moto?.stop();
  });
}

let passed = 0;

export function promise(title: string, keep: () => Promise<void>): void {
  test.skipIf(skipped !== '')(`${title}${skipped}`, { timeout: 120_000 }, async () => {
    await keep();
    passed += 1;
  });
}

/** A secret with `a` current and `b` pending, and a store that reaches it through the double; `aws` goes past it. */
export async function withAAndB(): Promise<{ store: StoreSession; name: string; aws: SecretsManager }> {
  const kind = awsSecretsManagerStore();
  const prefix = `${randomUUID()}/`;
  const store = await staged(kind.open(kind.spec.parse({ prefix, create: true })));
  return { store, name: `${prefix}${path}`, aws: new SecretsManager({ endpoint: at.moto.url }) };
}

/** The same in Parameter Store. */
export async function parameterWithAAndB(): Promise<{ store: StoreSession; name: string; aws: SSM }> {
  const kind = awsParameterStore();
  const prefix = `/${randomUUID()}/`;
  const store = await staged(kind.open(kind.spec.parse({ prefix, create: true })));
  return { store, name: `${prefix}${path}`, aws: new SSM({ endpoint: at.moto.url }) };
}

async function staged(store: StoreSession): Promise<StoreSession> {
  await store.stage(callWith(1n), path, a, text('a'));
  await store.promote(callWith(1n), path, a, undefined);
  await store.stage(callWith(1n), path, b, text('b'));
  at.front.seen.length = 0;
  return store;
}

export async function current(store: StoreSession): Promise<string | undefined> {
  return (await store.read(callWith(0n), path, 'current'))?.versionId;
}

/** A call that always has `leftMs` left and doesn't sleep between tries: what it decides depends on no machine's speed. */
export function withoutPauses(leftMs: number): Call {
  return {
    ...callWith(1n),
    deadline: Deadline.following(() => leftMs),
    clock: { ...systemClock, sleep: async () => undefined },
  };
}

export async function thrownBy(work: Promise<unknown>): Promise<RotorError | undefined> {
  return work.then(
    () => undefined,
    (error: RotorError) => error,
  );
}

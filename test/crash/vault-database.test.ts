import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import { SecretValue } from '../../core/secret.ts';
import { readJournal } from '../../ledger/journal.ts';
import { getRotation, type Rotation, requestCancel, resumeRotation } from '../../ledger/rotations.ts';
import { vaultDatabaseRotator } from '../../rotators/vault-database/rotator.ts';
import { localStore } from '../../stores/local/store.ts';
import type { Store } from '../../stores/store.ts';
import { runRotation } from '../../workers/saga/engine.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';
import { aCall } from '../setup/call.ts';
import { freshLedger, queuedRotation, type TestLedger } from '../setup/ledger.ts';
import { type Application, anApplication } from '../setup/postgres-roles.ts';
import { startTcpProxy, type TcpProxy } from '../setup/tcp-proxy.ts';
import { noVault, stopTestVault } from '../setup/vault.ts';
import { aStaticRole, type StaticRole } from '../setup/vault-database.ts';

let app: Application;
let role: StaticRole;
let proxy: TcpProxy;
let books: TestLedger;
let store: Store;
let id: string;
/** Thrown by the store instead of promoting. */
let refusing: RotorError | undefined;

/** A rotation of the role in this process, to its end, without waiting for what it asks to wait. */
async function run(reach: (point: string) => Promise<void> = async () => undefined): Promise<Rotation> {
  const { ledger } = books;
  const stubborn = {
    ...store,
    open: (spec: unknown) => {
      const session = store.open(spec);
      const promote: typeof session.promote = async (call, path, version, expected) => {
        if (refusing && expected !== undefined) throw refusing;
        return session.promote(call, path, version, expected);
      };
      return new Proxy(session, {
        get: (whole, name) => {
          const member = name === 'promote' ? promote : Reflect.get(whole, name);
          return typeof member === 'function' ? member.bind(whole) : member;
        },
      });
    },
  };
  for (;;) {
    const outcome = await runRotation(
      {
        ledger,
        registries: { rotators: [vaultDatabaseRotator], stores: [stubborn], deliveries: [], rollouts: [] },
        fingerprintKey: SecretValue.of('vault'),
        clock: { ...systemClock, sleep: (ms) => systemClock.sleep(Math.min(ms, 15)) },
        random: cryptoRandom,
        log: silentLog,
        faults: { reach },
        worker: 'test',
        leaseMs: 60_000,
      },
      id,
    );
    if (outcome.state !== 'waiting') return getRotation(ledger, id);
    await ledger.query('UPDATE rotor.rotations SET wake_at = NULL WHERE id = $1', [id]);
  }
}

const once = (point: string, act: () => Promise<unknown>) => {
  let reached = false;
  return async (at: string) => {
    if (at !== point || reached) return;
    reached = true;
    await act();
  };
};

/** The story for a failed expectation. */
async function told(): Promise<string> {
  const rows = await readJournal(books.ledger, id);
  return rows
    .map(({ direction, step, event, facts }) => `${direction} ${step} ${event} ${JSON.stringify(facts)}`)
    .join('\n');
}

/** What the store shows as current. */
async function stored(): Promise<string> {
  const session = store.open(store.spec.parse({ path: join(app.folder, 'store') }));
  const found = await session.read(aCall(), 'shop/app', 'current');
  await session.close();
  return (JSON.parse(found?.document.reveal() ?? '{}') as { password: string }).password;
}

describe.skipIf(noVault)(`rotating a static role of Vault${noVault ? ` (${noVault})` : ''}`, () => {
  beforeEach(async () => {
    [app, books] = await Promise.all([anApplication(), freshLedger()]);
    role = await aStaticRole(app);
    proxy = await startTcpProxy(Number(new URL(role.vault.address).port));
    refusing = undefined;
    await createKeyFile(join(app.folder, 'key'));
    store = localStore(await loadKeyring(join(app.folder, 'key'))) as Store;
    const initialFrom = { file: join(app.folder, 'initial.json') };
    await writeFile(initialFrom.file, JSON.stringify(await role.held()), { mode: 0o600 });
    const spec: RotationSpec = {
      rotator: {
        kind: 'vaultDatabase',
        provider: { ...role.provider, address: `http://127.0.0.1:${proxy.port}` },
        credential: role.credential,
      },
      store: { kind: 'local', spec: { path: join(app.folder, 'store') }, path: 'shop/app' },
      initialFrom,
      deliver: [],
      consumers: [],
      settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 1_000, onTimeout: 'roll-back' },
    };
    id = (await queuedRotation(books.ledger, spec)).id;
  });
  afterEach(async () => {
    await proxy.close();
    await books.drop();
    await app.drop();
  });
  afterAll(stopTestVault);

  const REQUESTS = ['sys/capabilities-self', 'static-creds/app', 'rotate-role/app'];
  test.each(
    REQUESTS.flatMap((text) => [
      { text, lost: 'before' as const },
      { text, lost: 'after' as const },
    ]),
  )('$text cut off $lost Vault has seen it: done, and one rotation of Vault', async ({ text, lost }) => {
    const first = await role.held();
    const seen = new Set([first.password]);
    const cut = () => (lost === 'before' ? proxy.cutBefore(text) : proxy.cutAfter(text));
    if (text.startsWith('sys/')) cut();
    const arm = once('forward:generate:announced', async () => text.startsWith('sys/') || cut());
    const rotation = await run(async (at) => {
      seen.add((await role.held()).password);
      await arm(at);
    });
    expect(proxy.pending()).toBe(false);
    expect(rotation.state, await told()).toBe('done');
    expect(await stored()).toBe((await role.held()).password);
    expect(seen.size).toBe(2);
  });

  test('a store that refuses after Vault has replaced the password: a human is asked, and nothing goes back to the dead one', async () => {
    refusing = new RotorError('store.permission-denied', { what: 'the policy was changed' });
    const rotation = await run();
    expect(rotation, await told()).toMatchObject({
      state: 'needs-human',
      error: { code: 'store.permission-denied' },
    });
    refusing = undefined;
    expect(await resumeRotation(books.ledger, id, 'test', 60_000)).toBe(true);
    expect((await run()).state, await told()).toBe('done');
    expect(await stored()).toBe((await role.held()).password);
  });

  test('cancelled once Vault was asked, it does not turn back to a password that is dead', async () => {
    const before = await role.held();
    const rotation = await run(
      once('forward:generate:performed', () => requestCancel(books.ledger, id, 'test')),
    );
    expect(rotation, await told()).toMatchObject({
      state: 'needs-human',
      error: { code: 'rotation.cancelled' },
    });
    expect(await told()).not.toContain('back ');
    expect((await role.held()).password).not.toBe(before.password);
  });

  test("Vault's no leaves everything as it was", async () => {
    const before = await role.held();
    const read = `path "${role.mount}/static-creds/app" { capabilities = ["read"] }`;
    await role.restrict(`${read}\npath "${role.mount}/rotate-role/app" { capabilities = ["update"] }`);
    const change = () => role.vault.call('PUT', `sys/policies/acl/${role.mount}`, { policy: read });
    const rotation = await run(once('forward:generate:announced', change));
    expect(rotation, await told()).toMatchObject({
      state: 'rolled-back',
      error: { code: 'provider.permission-denied', what: expect.stringContaining('rotate-role/app') },
    });
    expect(await role.held()).toMatchObject({ password: before.password });
    expect(await stored()).toBe(before.password);
  });

  test('one that Vault rotates once more, before any consumer has it, gives way to that one', async () => {
    const rotation = await run(once('forward:install:announced', () => role.rotate()));
    expect(rotation.state, await told()).toBe('done');
    expect(await stored()).toBe((await role.held()).password);
  });
});

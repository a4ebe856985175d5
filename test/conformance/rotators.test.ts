import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Credential, encodeCredential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { Deadline } from '../../core/retry.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretDesks } from '../../functions/desks.ts';
import { rotators } from '../../rotators/registry.ts';
import type { Opening, RotatorSession } from '../../rotators/rotator.ts';
import { localStore } from '../../stores/local/store.ts';
import { servedFunction } from '../functions/served-function.ts';
import { aCall } from '../setup/call.ts';
import { anApplication } from '../setup/postgres-roles.ts';
import { stopTestVault, VAULTS, type VaultName } from '../setup/vault.ts';
import { aStaticRole } from '../setup/vault-database.ts';

/** Rotation functions of AWS take no other ids. */
const [V0, V1, V2] = [0, 1, 2].map((n) => `c0ffee00-0000-4000-8000-00000000000${n}`) as [
  string,
  string,
  string,
];

interface Scenario {
  readonly session: RotatorSession;
  /** The credential in use; undefined for kinds without a provider. */
  readonly current: Credential | undefined;
  drop(): Promise<void>;
}

function open(kind: string, provider: unknown, credential: unknown, opening?: Opening): RotatorSession {
  const rotator = rotators.find((each) => each.kind === kind);
  if (!rotator) throw new Error(`there is no rotator ${kind}`);
  return rotator.open(rotator.provider?.parse(provider), rotator.credential.parse(credential), opening);
}

/** A rotation function behind an HTTP address, which reaches the versions by the API only. */
async function foreign(mode: 'single-user' | 'alternating-users'): Promise<Scenario> {
  const app = await anApplication();
  const served = await servedFunction();
  const store = localStore(Keyring.generate()).open({ path: join(app.folder, 'store'), keepVersions: 10 });
  const desks = secretDesks({ listen: { host: '127.0.0.1', port: served.desksPort }, log: silentLog });
  const fields = {
    engine: 'postgres',
    host: '127.0.0.1',
    port: String(app.port),
    dbname: app.name,
    username: app.initial.username,
    ...(mode === 'alternating-users' ? { masterarn: 'arn:admin' } : {}),
  };
  const adminSecretFile = join(app.folder, 'admin-secret');
  await writeFile(
    adminSecretFile,
    JSON.stringify({ ...fields, username: app.admin, password: 'admin-password' }),
  );
  const current: Credential = {
    versionId: V0,
    identity: fields.username,
    fields,
    secrets: { password: SecretValue.of(app.initial.password) },
  };
  await store.stage(aCall(), 'shop/app', V0, encodeCredential(current));
  await store.promote(aCall(), 'shop/app', V0, undefined);
  const session = open(
    'function',
    { http: { url: served.url }, signingKeyFile: served.keyFile, adminSecretFile },
    mode === 'single-user' ? { mode, acknowledgeNoOverlap: true } : { mode },
    { desk: desks.at(store, 'shop/app'), assertAllowed: () => undefined },
  );
  const drop = async () => {
    await session.close();
    await desks.close();
    await served.stop();
    await app.drop();
  };
  return { session, current, drop };
}

async function postgres(
  mode: (roles: readonly [string, string], owner: string) => object,
  selfAdmin = false,
): Promise<Scenario> {
  const app = await anApplication();
  const { username, password } = app.initial;
  const session = open(
    'postgres',
    app.provider(selfAdmin ? { admin: undefined } : {}),
    mode(app.roles, app.owner),
  );
  const drop = async () => {
    await session.close();
    await app.drop();
  };
  return {
    session,
    current: {
      versionId: V0,
      identity: username,
      fields: { username },
      secrets: { password: SecretValue.of(password) },
    },
    drop,
  };
}

async function vaultDatabase(admin: boolean, server: VaultName = 'Vault'): Promise<Scenario> {
  const app = await anApplication();
  const { provider, credential, held } = await aStaticRole(app, admin, server);
  const session = open('vaultDatabase', provider, credential);
  const { username, password } = await held();
  return {
    session,
    current: {
      versionId: V0,
      identity: username,
      fields: { username },
      secrets: { password: SecretValue.of(password) },
    },
    drop: async () => {
      await session.close();
      await app.drop();
    },
  };
}

/** A new rotator adds its scenarios here; one that is registered and has none fails the suite. */
const SCENARIOS: Readonly<Record<string, Readonly<Record<string, () => Promise<Scenario>>>>> = {
  postgres: {
    'alternating users': () => postgres((roles, owner) => ({ mode: 'alternating-users', roles, owner })),
    'single user': () => postgres(([role]) => ({ mode: 'single-user', role, acknowledgeNoOverlap: true })),
    'single user, self-admin': () =>
      postgres(([role]) => ({ mode: 'single-user', role, acknowledgeNoOverlap: true }), true),
  },
  function: {
    'single user': () => foreign('single-user'),
    'alternating users': () => foreign('alternating-users'),
  },
  random: {
    value: async () => ({
      session: open('random', undefined, {}),
      current: undefined,
      drop: async () => undefined,
    }),
  },
  vaultDatabase: {
    'static role': () => vaultDatabase(true),
    'static role, without an admin of the database': () => vaultDatabase(false),
    'static role of OpenBao': () => vaultDatabase(true, 'OpenBao'),
  },
};

/** Why one can't be tried here. */
function missing(kind: string, mode: string): string | undefined {
  const wanted = mode.endsWith('OpenBao') ? 'OpenBao' : 'Vault';
  return kind === 'vaultDatabase' ? VAULTS.find(({ name }) => name === wanted)?.missing : undefined;
}

let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.drop();
  scenario = undefined;
});
afterAll(stopTestVault);

test('every registered rotator has a scenario here', () => {
  expect(Object.keys(SCENARIOS).sort()).toEqual(rotators.map(({ kind }) => kind).sort());
});

const all = Object.entries(SCENARIOS).flatMap(([kind, modes]) =>
  Object.entries(modes).map(([mode, make]) => ({ kind, mode, make, why: missing(kind, mode) })),
);
for (const { kind, mode, make, why } of all) {
  describe.skipIf(why)(`${kind}, ${mode}${why ? ` (${why})` : ''}`, () => {
    test('what is generated has every field that its format names, and is never the same twice', async () => {
      scenario = await make();
      const { session, current } = scenario;
      const one = await session.generate(aCall(), V1, current);
      // A provider that issues it would give the same once more: an answer that was lost leaves nothing behind.
      const issued = session.capabilities.issuedBy === 'provider';
      if (issued)
        expect((await session.generate(aCall(), V1, current)).secrets.password).toEqual(one.secrets.password);
      const two = await session.generate(aCall(), V2, issued ? one : current);
      for (const name of session.format.secrets) {
        const [first, second] = [one.secrets[name], two.secrets[name]];
        expect(first && second && first.equals(second)).toBe(false);
        expect(first?.size).toBeGreaterThanOrEqual(16);
      }
      expect(one.identity).toBe(
        session.format.identity === undefined ? '' : one.fields[session.format.identity],
      );
      expect(inspect(one, { depth: 9 })).not.toContain(one.secrets[session.format.secrets[0]]?.reveal());
    });

    test('installed, it is accepted; the old one as its overlap says; revoked, the old one is refused; all may be repeated', async () => {
      scenario = await make();
      const { session, current } = scenario;
      const { overlap } = session.capabilities;
      await session.plan(aCall(), current);
      const pending = await session.generate(aCall(), V1, current);
      for (let times = 0; times < 2; times += 1) await session.install(aCall(), pending, current);
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
      if (!current) return;
      expect(await session.attempt(aCall(), current)).toBe(overlap === 'none' ? 'refused' : 'accepted');
      for (let times = 0; times < 2; times += 1) await session.revoke(aCall(), current, pending, new Date());
      expect(await session.attempt(aCall(), current)).toBe('refused');
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
    });

    test('a leaked one is refused at once where it can be contained, and a new one still comes after it', async () => {
      scenario = await make();
      const { session, current } = scenario;
      // A function of others needs the leaked one to make the next: there the rotation is the containment.
      if (!session.contain && session.stagesItself) return;
      if (!session.contain || !current)
        return expect(['none', 'no-provider']).toContain(session.capabilities.overlap);
      for (let times = 0; times < 2; times += 1) await session.contain(aCall(), current);
      expect(await session.attempt(aCall(), current)).toBe('refused');
      await session.plan(aCall(), current, true);
      const pending = await session.generate(aCall(), V1, current);
      await session.install(aCall(), pending, current);
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
      // A late repetition must not hit the one that took its place.
      await session.contain(aCall(), current);
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
      await session.revoke(aCall(), current, pending, new Date());
      expect(await session.attempt(aCall(), current)).toBe('refused');
      expect(await session.attempt(aCall(), pending)).toBe('accepted');
    });

    test('undone, the new one is refused and the old one accepted; undoing what never happened is harmless', async () => {
      scenario = await make();
      const { session, current } = scenario;
      const pending = await session.generate(aCall(), V1, current);
      if (session.capabilities.forwardOnly) {
        const refused = session.uninstall(aCall(), pending, current);
        await expect(refused).rejects.toMatchObject({ code: 'rotation.needs-human', kind: 'terminal' });
        return expect(await session.attempt(aCall(), pending)).toBe('accepted');
      }
      await session.uninstall(aCall(), pending, current);
      await session.install(aCall(), pending, current);
      for (let times = 0; times < 2; times += 1) await session.uninstall(aCall(), pending, current);
      if (!current) return;
      expect(await session.attempt(aCall(), pending)).toBe('refused');
      expect(await session.attempt(aCall(), current)).toBe('accepted');
    });

    test('without time left nothing happens, and the error holds no secret', async () => {
      scenario = await make();
      const { session, current } = scenario;
      if (!current) return expect(session.capabilities.overlap).toBe('no-provider');
      const noTime = aCall({ deadline: Deadline.after(0) });
      const issued = session.capabilities.issuedBy === 'provider';
      const pending = issued ? undefined : await session.generate(aCall(), V1, current);
      const effect = pending
        ? session.install(noTime, pending, current)
        : session.generate(noTime, V1, current);
      const late = await effect.catch((thrown: unknown) => thrown);
      expect(late).toBeInstanceOf(RotorError);
      const shown = inspect(late, { depth: 9 }) + JSON.stringify(late);
      for (const each of [pending, current])
        for (const secret of Object.values(each?.secrets ?? {})) expect(shown).not.toContain(secret.reveal());
      expect(await session.attempt(aCall(), current)).toBe('accepted');
      if (pending) expect(await session.attempt(aCall(), pending)).toBe('refused');
    });

    test('a current credential that does not log in is refused by plan, or replaced by the one that does', async () => {
      scenario = await make();
      const { session, current } = scenario;
      if (!current) return expect((await session.plan(aCall(), undefined)).actions).not.toEqual([]);
      const wrong = { ...current, secrets: { password: SecretValue.of('wrong-password-marker') } };
      if (session.capabilities.forwardOnly) {
        // Its provider replaces secrets by itself: what it holds, and accepts, is taken over.
        const { warnings } = await session.plan(aCall(), wrong);
        return expect(warnings.join()).toContain('has replaced the password since');
      }
      const error = await session.plan(aCall(), wrong).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'provider.refused-credential', kind: 'terminal' });
      expect(inspect(error, { depth: 9 })).not.toContain('wrong-password-marker');
    });
  });
}

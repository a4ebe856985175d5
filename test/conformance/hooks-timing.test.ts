/**
 * A stranger who forges requests learns nothing by the time they take: whatever is wrong with a proof, a source does the same
 * work and says the same. Work is counted, not timed; the times are measured by row (t) of the benchmark.
 */
import { webcrypto } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { type ConfiguredSource, parseHooks } from '../../orchestrator/intake/hooks-file.ts';
import { openHooks } from '../../orchestrator/intake/receive.ts';
import { hookSources } from '../../orchestrator/intake/registry.ts';
import type { HookSource, Surroundings } from '../../orchestrator/intake/source.ts';
import type { Orchestrator } from '../../orchestrator/operations/orchestrator.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';
import { type Forgery, forgeries } from './hooks-forgeries.ts';
import {
  type HookScenario,
  hookScenarios,
  type Keys,
  makeKeys,
  NOW,
  SECRETS,
  surroundings,
} from './hooks-scenarios.ts';

/** What is done with a secret or a key, by name; files and addresses that are read too. */
const work = vi.hoisted(() => new Map<string, number>());
const count = vi.hoisted(() => (what: string) => work.set(what, (work.get(what) ?? 0) + 1));

vi.mock('node:crypto', async (importOriginal) => {
  const crypto = await importOriginal<typeof import('node:crypto')>();
  const counted = <F extends (...given: never[]) => unknown>(name: string, called: F) =>
    ((...given: Parameters<F>) => {
      count(name);
      return called(...given);
    }) as unknown as F;
  return {
    ...crypto,
    timingSafeEqual: counted('comparison', crypto.timingSafeEqual),
    createHmac: counted('hmac', crypto.createHmac),
    verify: counted('verification', crypto.verify as never),
  };
});
vi.mock('../../core/secret-file.ts', async (importOriginal) => {
  const files = await importOriginal<typeof import('../../core/secret-file.ts')>();
  return {
    ...files,
    secretIn: (...given: Parameters<typeof files.secretIn>) => {
      count('file');
      return files.secretIn(...given);
    },
  };
});

let keys: Keys;
let scenarios: readonly HookScenario[] = [];
const genuine = { secret: SECRETS[0], at: NOW };

beforeAll(async () => {
  keys = await makeKeys();
  scenarios = hookScenarios(keys);
  const original = webcrypto.subtle.verify.bind(webcrypto.subtle);
  vi.spyOn(webcrypto.subtle, 'verify').mockImplementation((...given: Parameters<typeof original>) => {
    count('verification');
    return original(...given);
  });
});
afterAll(() => vi.restoreAllMocks());

async function workOf(action: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> {
  work.clear();
  await action();
  return Object.fromEntries([...work].sort());
}

describe.each(hookSources.map((source) => ({ kind: source.kind, source })))('$kind', ({ kind, source }) => {
  const scenario = () => scenarios.find((each) => each.kind === kind) as HookScenario;

  /** What one forgery makes a source do, and what the sender gets. */
  async function seen({ request }: Forgery) {
    const settings = source.settings.parse(scenario().settings);
    let code: string | undefined;
    const done = await workOf(() =>
      source.verify(request, settings, counting(surroundings(keys))).then(
        () => {
          code = 'proven';
        },
        (error) => {
          code = error.code;
        },
      ),
    );
    return { code, done };
  }

  test('whatever is wrong with the proof, the work and the answer are the same', async () => {
    const all = await forgeries(kind, scenario());
    const [first, ...others] = all;
    if (!first) throw new Error(kind);
    const expected = await seen(first);
    expect(expected.code).toBe('hook.unauthenticated');
    expect((expected.done.comparison ?? 0) + (expected.done.verification ?? 0)).toBeGreaterThan(0);
    for (const each of others)
      expect({ what: each.what, ...(await seen(each)) }).toEqual({ what: each.what, ...expected });
    expect(all.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['its first byte', 'its last byte', 'none']),
    );
  });

  test('a proof that fits costs no less than one that does not: nothing ends at the first secret that fits', async () => {
    const [first] = await forgeries(kind, scenario());
    const wrong = await seen(first as Forgery);
    for (const secret of SECRETS) {
      const right = await seen({
        what: 'genuine',
        request: await scenario().request('leaked', { ...genuine, secret }),
      });
      expect(right.code).toBe('proven');
      for (const [what, times] of Object.entries(wrong.done))
        expect(right.done[what], what).toBeGreaterThanOrEqual(times);
    }
  });
});

test('a source without secrets does as much as one with a wrong one', async () => {
  for (const { kind, settings } of scenarios.filter((each) => 'secretsFrom' in each.settings)) {
    const source = hookSources.find((each) => each.kind === kind) as HookSource;
    const scenario = scenarios.find((each) => each.kind === kind) as HookScenario;
    const request = await scenario.request('leaked', { secret: 'guessed', at: NOW });
    const by = (secrets: readonly string[]) =>
      workOf(() =>
        expect(
          source.verify(request, source.settings.parse(settings), {
            ...surroundings(keys),
            secrets: async () => secrets.map((secret) => SecretValue.of(secret)),
          }),
        ).rejects.toMatchObject({ code: 'hook.unauthenticated' }),
      );
    const withoutKeyOf = ({ hmac: _, ...rest }: Readonly<Record<string, number>>) => rest;
    const [none, one] = [await by([]), await by(['right'])];
    expect(withoutKeyOf(none), kind).toEqual(withoutKeyOf(one));
    expect(none.hmac, kind).toBe(one.hmac);
  }
});

test('tokens that Google signed for others do not tell what is expected of them', async () => {
  const source = hookSources.find(({ kind }) => kind === 'pubsub') as HookSource;
  const scenario = scenarios.find(({ kind }) => kind === 'pubsub') as HookScenario;
  const settings = scenario.settings as { audience: string; serviceAccount: string };
  const token = (audience: string, email: string) =>
    new SignJWT({ email, email_verified: true })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer('https://accounts.google.com')
      .setAudience(audience)
      .setExpirationTime(new Date(NOW.getTime() + 60_000))
      .sign(keys.jwtPrivate);
  const body = (await scenario.request('leaked', genuine)).body;
  const done = async (audience: string, email: string) => {
    const request = {
      method: 'POST',
      headers: { authorization: `Bearer ${await token(audience, email)}` },
      body,
    };
    return workOf(() =>
      expect(
        source.verify(request, source.settings.parse(settings), surroundings(keys)),
      ).rejects.toMatchObject({
        code: 'hook.unauthenticated',
      }),
    );
  };
  const stranger = await done('https://elsewhere.example.com', 'stranger@example.com');
  expect(stranger.comparison).toBe(2);
  expect(await done(settings.audience, 'stranger@example.com')).toEqual(stranger);
  expect(await done('https://elsewhere.example.com', settings.serviceAccount)).toEqual(stranger);
});

describe('a name that nobody has', () => {
  let test_: TestLedger;
  let folder: string;
  beforeAll(async () => {
    test_ = await freshLedger();
    folder = await mkdtemp(join(tmpdir(), 'rotor-timing-'));
    await writeFile(join(folder, 'first'), SECRETS[0]);
    await writeFile(join(folder, 'second'), SECRETS[1]);
  });
  afterAll(async () => {
    await test_.drop();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(['signed', 'bearer'] as const)(
    'takes what a forged request to a known one takes: %s',
    async (form) => {
      const hooks = openHooks(
        { ledger: test_.ledger, clock: systemClock, log: silentLog } as Orchestrator,
        configured(form, folder),
      );
      const request = {
        method: 'POST',
        headers: { 'x-signature': '00'.repeat(32), authorization: 'Bearer guessed' },
        body: Buffer.from('{}'),
      };
      const answerOf = async (name: string) => {
        let answer: unknown;
        const limit = await workOf(() => hooks.limit(name, request.headers));
        const done = await workOf(async () => {
          answer = await hooks.receive(name, '192.0.2.1', request);
        });
        return { answer, done, limit };
      };
      const known = await answerOf('known');
      expect(known.answer).toEqual({ status: 401, body: {} });
      expect(known.done).toMatchObject({ file: 2, comparison: 2 });
      for (const name of ['unknown', 'known2', 'x'.repeat(63)])
        expect(await answerOf(name), name).toEqual(known);
    },
  );

  test('is refused even with a token that is good for another', async () => {
    const hooks = openHooks(
      { ledger: test_.ledger, clock: systemClock, log: silentLog } as Orchestrator,
      configured('bearer', folder),
    );
    const request = {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRETS[0]}` },
      body: Buffer.from('{}'),
    };
    expect(await hooks.receive('unknown', '192.0.2.2', request)).toEqual({ status: 401, body: {} });
    expect(await hooks.limit('unknown', request.headers)).toBe(1024 * 1024);
  });
});

function configured(form: 'signed' | 'bearer', folder: string): ReadonlyMap<string, ConfiguredSource> {
  const secretsFrom = `secretsFrom: [{ file: ${join(folder, 'first')} }, { file: ${join(folder, 'second')} }]`;
  const source =
    form === 'signed'
      ? `generic: { ${secretsFrom}, signature: { header: X-Signature } }`
      : `kubernetesAudit: { ${secretsFrom} }`;
  return parseHooks(`sources:\n  known: { ${source} }\n`, 'hooks.yaml').sources;
}

/** The same world, in which what is asked of it is counted. */
function counting(around: Surroundings): Surroundings {
  return {
    ...around,
    fetchText: (url) => {
      count('address');
      return around.fetchText(url);
    },
    secrets: (references) => {
      count('secrets');
      return around.secrets(references);
    },
  };
}

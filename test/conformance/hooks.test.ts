/**
 * Every source of reports under the same rules: the genuine one is believed, with either of two secrets; nothing else is.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { hookSources } from '../../orchestrator/intake/registry.ts';
import type { Message } from '../../orchestrator/intake/report.ts';
import type { HookRequest, HookSource } from '../../orchestrator/intake/source.ts';
import {
  EC_KEY_ID,
  type HookScenario,
  hookScenarios,
  type Keys,
  makeKeys,
  NOW,
  SECRETS,
  surroundings,
} from './hooks-scenarios.ts';

const LEAKED = 'pl4nted-"secret"-value';
const genuine = { secret: SECRETS[0], at: NOW };
let keys: Keys;
let scenarios: readonly HookScenario[] = [];

beforeAll(async () => {
  keys = await makeKeys();
  scenarios = hookScenarios(keys);
});

test('no source is left out of this kit', () => {
  expect(scenarios.map(({ kind }) => kind)).toEqual(hookSources.map(({ kind }) => kind));
});

describe.each(hookSources.map((source) => ({ kind: source.kind, source })))('$kind', ({ kind, source }) => {
  const scenario = () => scenarios.find((each) => each.kind === kind) as HookScenario;

  test('a genuine report is believed, and says what it is about', async () => {
    const message = await take(source, scenario(), await scenario().request(LEAKED, genuine));
    if (message.kind === 'nothing' || message.kind === 'handshake') throw new Error(message.kind);
    expect(message.deliveryId).toMatch(/^.{3,}$/);
    expect(JSON.stringify(message)).not.toContain('pl4nted');
    if (message.kind === 'reads') return expect(message.reads).toHaveLength(1);
    if (message.kind === 'rotations')
      return expect(message.requests).toMatchObject([{ names: ['db'], at: expect.any(Date) }]);
    const [report] = message.reports;
    const found = (report?.found ?? []).map((secret) => secret.reveal());
    if (scenario().carriesSecret) expect(found).toContain(LEAKED);
    else expect(Object.values(report?.hints ?? {}).filter(Boolean).length).toBeGreaterThan(0);
    expect(JSON.stringify(message)).not.toContain('pl4nted');
  });

  test('both secrets are believed while one replaces the other', async () => {
    const request = await scenario().request(LEAKED, { ...genuine, secret: SECRETS[1] });
    const { kind: read } = await take(source, scenario(), request);
    expect(['reports', 'reads', 'rotations']).toContain(read);
  });

  test('the same delivery has the same id, another one another', async () => {
    const id = async (leaked: string) => {
      const message = await take(source, scenario(), await scenario().request(leaked, genuine));
      return message.kind === 'nothing' || message.kind === 'handshake' ? undefined : message.deliveryId;
    };
    expect(await id(LEAKED)).toBeDefined();
    expect(await id(LEAKED)).toBe(await id(LEAKED));
  });

  test('a wrong secret or key is refused', async () => {
    const request = await scenario().request(LEAKED, { secret: 'guessed', at: NOW, strangersKey: true });
    await refused(source, scenario(), request, 'hook.unauthenticated');
  });

  test('without any proof it is refused', async () => {
    const { headers: _, ...request } = await scenario().request(LEAKED, genuine);
    const bare = { ...request, headers: { 'content-type': 'application/json' } };
    // SNS carries its signature in the body.
    if (kind === 'sns') {
      const { Signature: _signature, ...message } = JSON.parse(request.body.toString());
      await refused(
        source,
        scenario(),
        { ...bare, body: Buffer.from(JSON.stringify(message)) },
        'hook.unauthenticated',
      );
    } else await refused(source, scenario(), bare, 'hook.unauthenticated');
  });

  test('a changed byte is refused where the body is signed', async () => {
    if (scenario().bearer) return;
    const request = await scenario().request(LEAKED, genuine);
    // A byte of a value, so that the body stays JSON.
    const text = request.body.toString();
    const at = kind === 'sns' ? text.indexOf('OutsideAWS') : text.length - 3;
    const body = Buffer.from(text);
    body[at] = (body[at] ?? 0) ^ 1;
    await refused(source, scenario(), { ...request, body }, 'hook.unauthenticated');
  });

  test('one that was signed long ago or in the future is refused where the time is signed', async () => {
    if (!scenario().signsTime) return;
    for (const days of [-30, 30]) {
      const at = new Date(NOW.getTime() + days * 86_400_000);
      const request = await scenario().request(LEAKED, { ...genuine, at });
      // A token of the future has an expiry to come: its lifetime is its window.
      if (kind === 'pubsub' && days > 0) continue;
      await refused(source, scenario(), request, 'hook.unauthenticated');
    }
  });

  test('a truncated one is refused, as unproven or as malformed', async () => {
    const request = await scenario().request(LEAKED, genuine);
    for (const length of [0, 1, Math.floor(request.body.length / 2), request.body.length - 1])
      await refused(
        source,
        scenario(),
        { ...request, body: request.body.subarray(0, length) },
        scenario().bearer ? 'hook.malformed' : 'hook.unauthenticated',
      );
  });

  test('whatever a proven sender writes, it is read or refused in words, and quoted nowhere', () => {
    const settings = source.settings.parse(scenario().settings);
    const anything = fc.oneof(
      fc.json(),
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(anything, fc.dictionary(fc.string({ maxLength: 20 }), fc.string()), (text, headers) => {
        const request = { method: 'POST', headers, body: Buffer.from(text) };
        try {
          expect(['reports', 'reads', 'rotations', 'nothing', 'handshake']).toContain(
            source.read(request, settings).kind,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(RotorError);
          expect((error as RotorError).code).toBe('hook.malformed');
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a genuine one with any field replaced is read or refused in words', async () => {
    const { body, headers } = await scenario().request(LEAKED, genuine);
    const settings = source.settings.parse(scenario().settings);
    const paths = pathsOf(JSON.parse(body.toString()));
    const strange = fc.oneof(fc.jsonValue(), fc.string({ maxLength: 5_000 }), fc.constant(LEAKED));
    fc.assert(
      fc.property(fc.constantFrom(...paths), strange, (path, value) => {
        const changed = replaced(JSON.parse(body.toString()), path, value);
        try {
          const message = source.read(
            { method: 'POST', headers, body: Buffer.from(JSON.stringify(changed)) },
            settings,
          );
          // Text of strangers stays out of what is kept: a secret in any field but the one for it is dropped.
          expect(JSON.stringify(message)).not.toContain('pl4nted');
        } catch (error) {
          expect((error as RotorError).code).toBe('hook.malformed');
          expect((error as RotorError).message).not.toContain('pl4nted');
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('a certificate of SNS is fetched from its one address, and by no other spelling of it', async () => {
  const source = hookSources.find(({ kind }) => kind === 'sns') as HookSource;
  const scenario = scenarios.find(({ kind }) => kind === 'sns') as HookScenario;
  const request = await scenario.request(LEAKED, genuine);
  const message = JSON.parse(request.body.toString());
  for (const more of ['?again=1', '#again', '?x=.pem']) {
    const body = Buffer.from(
      JSON.stringify({ ...message, SigningCertURL: `${message.SigningCertURL}${more}` }),
    );
    await refused(source, scenario, { ...request, body }, 'hook.unauthenticated');
  }
});

test("GitHub's own published example is believed", async () => {
  const partner = hookSources.find(({ kind }) => kind === 'githubPartner') as HookSource;
  const id = 'bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c';
  const key =
    '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\nAjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n-----END PUBLIC KEY-----\n';
  const around = {
    ...surroundings(keys),
    fetchText: async () => JSON.stringify({ public_keys: [{ key_identifier: id, key, is_current: true }] }),
  };
  const request = {
    method: 'POST',
    headers: {
      'github-public-key-identifier': id,
      'github-public-key-signature':
        'MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg==',
    },
    body: Buffer.from(
      '[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]',
    ),
  };
  const settings = partner.settings.parse({});
  await partner.verify(request, settings, around);
  expect(partner.read(request, settings)).toMatchObject({
    kind: 'reports',
    reports: [{ type: 'some_type' }],
  });
  await expect(partner.verify({ ...request, body: Buffer.from('[]') }, settings, around)).rejects.toThrow();
  expect(EC_KEY_ID).toHaveLength(64);
});

async function take(source: HookSource, scenario: HookScenario, request: HookRequest): Promise<Message> {
  const settings = source.settings.parse(scenario.settings);
  await source.verify(request, settings, surroundings(keys));
  return source.read(request, settings);
}

async function refused(
  source: HookSource,
  scenario: HookScenario,
  request: HookRequest,
  code: 'hook.unauthenticated' | 'hook.malformed',
): Promise<void> {
  const error = await take(source, scenario, request).then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(RotorError);
  expect((error as RotorError).code).toBe(code);
  expect((error as RotorError).message).not.toContain('pl4nted');
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return Object.entries(value).flatMap(([name, each]) => [[...at, name], ...pathsOf(each, [...at, name])]);
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON.
function replaced(document: any, [first, ...rest]: Path, value: unknown): unknown {
  if (first === undefined) return value;
  if (rest.length === 0) document[first] = value;
  else document[first] = replaced(document[first], rest, value);
  return document;
}

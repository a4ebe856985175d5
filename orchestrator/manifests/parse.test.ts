import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Rotator } from '../../rotators/rotator.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { parseManifests } from './parse.ts';
import { ManifestError } from './problem.ts';
import { manifestJsonSchema } from './schemas.ts';

const unopened = () => {
  throw new Error('parsing must not open anything');
};
const postgres = {
  kind: 'postgres',
  provider: z.strictObject({ url: z.string(), admin: z.strictObject({ username: z.string() }).optional() }),
  credential: z.union([
    z.strictObject({ mode: z.literal('alternating-users'), roles: z.tuple([z.string(), z.string()]) }),
    z.strictObject({ mode: z.literal('single-user'), role: z.string(), sure: z.literal(true) }),
  ]),
  open: unopened,
} satisfies Rotator;
const registries: Registries = {
  rotators: [
    postgres,
    {
      kind: 'random',
      provider: undefined,
      credential: z.object({ length: z.int().default(32) }),
      open: unopened,
    },
  ],
  stores: [{ kind: 'local', spec: z.strictObject({ path: z.string() }), open: unopened }],
  deliveries: [
    {
      kind: 'file',
      // A schema that breaks the rule and quotes what it was given.
      spec: z.strictObject({
        path: z.string().refine(isAbsolute, { error: (issue) => `not absolute: ${issue.input}` }),
      }),
      open: unopened,
    },
  ],
  rollouts: [
    { kind: 'reload', spec: z.strictObject({ via: z.string() }), open: unopened },
    { kind: 'none', spec: z.strictObject({}), open: unopened },
  ],
};

function isAbsolute(path: string): boolean {
  return path.startsWith('/');
}

const PROVIDER = `apiVersion: rotor.dev/v1alpha1
kind: Provider
metadata: {name: main}
spec: {postgres: {url: "postgres://db/shop"}, maxConcurrent: 2}
`;
const POLICY = `apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata:
  name: orders
  namespace: shop
spec:
  provider: main
  credential:
    postgres: {mode: alternating-users, roles: [a, b]}
  store: {path: shop/orders}
  deliver:
    - file: {path: /run/orders.json}
  consumers:
    - name: web
      reload: {via: x}
    - name: batch
      none:
  schedule: {every: 30d, maxAge: 90d}
`;

const parse = (text: string) => parseManifests(text, 'a.yaml', registries);

function problemsOf(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ManifestError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a valid set', () => {
  test('is read with its defaults, durations in milliseconds, and kinds as written', () => {
    const [provider, policy] = parse(`${PROVIDER}---\n# nothing here\n---\n${POLICY}`);
    expect(provider).toEqual({
      kind: 'Provider',
      name: 'main',
      namespace: 'default',
      labels: {},
      annotations: {},
      spec: { kind: 'postgres', spec: { url: 'postgres://db/shop' }, maxConcurrent: 2 },
      source: { file: 'a.yaml', line: 1 },
    });
    expect(policy?.source.line).toBe(8);
    expect(policy?.spec).toEqual({
      provider: 'main',
      credential: { kind: 'postgres', spec: { mode: 'alternating-users', roles: ['a', 'b'] } },
      store: { name: 'local', path: 'shop/orders' },
      deliver: [{ kind: 'file', spec: { path: '/run/orders.json' } }],
      consumers: [
        { name: 'web', kind: 'reload', spec: { via: 'x' } },
        { name: 'batch', kind: 'none', spec: {} },
      ],
      drift: 'repair',
      schedule: {
        every: 30 * 86_400_000,
        maxAge: 90 * 86_400_000,
        jitter: 0,
        timeZone: 'UTC',
        windows: [],
        blackouts: [],
      },
      settle: { graceMs: 10_000, evidence: 'sessions', timeoutMs: 3_600_000, onTimeout: 'roll-back' },
      deadlineMs: 6 * 3_600_000,
      suspend: false,
    });
  });
  test('may be JSON', () => {
    expect(
      parse(
        '{"apiVersion":"rotor.dev/v1alpha1","kind":"Store","metadata":{"name":"x"},"spec":{"local":{"path":"/s"}}}',
      ),
    ).toHaveLength(1);
  });
  test('may be empty', () => {
    expect(parse('')).toEqual([]);
  });
});

test('every problem is reported at once, with line, column and field', () => {
  const broken = POLICY.replace('store: {path: shop/orders}', 'store: {pth: shop/orders}')
    .replace('every: 30d', 'every: soon')
    .replace('name: web', 'name: Web')
    .replace('suspend: false', '');
  expect(problemsOf(broken)).toEqual([
    'a.yaml:10:10: spec.store.path: is required',
    'a.yaml:10:11: spec.store.pth: is not a known field; did you mean "path"?',
    'a.yaml:14:13: spec.consumers[0].name: needs lower-case letters, digits and "-", with a letter or digit at both ends',
    'a.yaml:18:21: spec.schedule.every: needs a duration such as "90s", "1h30m" or "30d"',
  ]);
});

test.each([
  [
    'an unknown kind',
    PROVIDER.replace('kind: Provider', 'kind: Sonata'),
    'a.yaml:2:7: kind: unknown kind; known are RotationPolicy, Provider, Store, Runbook',
  ],
  [
    'a misspelt kind',
    PROVIDER.replace('kind: Provider', 'kind: provider'),
    'a.yaml:2:7: kind: unknown kind; known are RotationPolicy, Provider, Store, Runbook; did you mean Provider?',
  ],
  [
    'another version',
    PROVIDER.replace('v1alpha1', 'v2'),
    'a.yaml:1:13: apiVersion: needs rotor.dev/v1alpha1',
  ],
  [
    'no kind in a keyed union',
    PROVIDER.replace('postgres: {url: "postgres://db/shop"}, ', ''),
    'a.yaml:4:7: spec: needs exactly one of: postgres',
  ],
  [
    'a kind without provider',
    PROVIDER.replace('postgres: {url: "postgres://db/shop"}', 'random: {}'),
    'a.yaml:4:8: spec.random: is not a known field; known are maxConcurrent, postgres',
  ],
  [
    'a misspelt union key',
    POLICY.replace('- file:', '- fil:'),
    'a.yaml:12:7: spec.deliver[0].fil: is not a known field; did you mean "file"?',
  ],
  [
    'an unknown field where the kind would drop it',
    POLICY.replace(/postgres: .*\n/, 'random: {lenght: 3}\n').replace('  provider: main\n', ''),
    'a.yaml:8:14: spec.credential.random.lenght: is not a known field; did you mean "length"?',
  ],
  [
    'a missing provider',
    POLICY.replace('  provider: main\n', ''),
    'a.yaml:7:3: spec.provider: is required for this kind of credential',
  ],
  [
    'a provider that is of no use',
    POLICY.replace(/postgres: .*\n/, 'random: {}\n'),
    'a.yaml:7:13: spec.provider: has no use for this kind of credential',
  ],
  [
    'the form of a union that was meant',
    POLICY.replace('{mode: alternating-users, roles: [a, b]}', '{mode: single-user, role: a}'),
    'a.yaml:9:15: spec.credential.postgres.sure: is required: true',
  ],
  [
    'cron and every',
    POLICY.replace('every: 30d', 'every: 30d, cron: "@daily"'),
    'a.yaml:18:21: spec.schedule.every: excludes `cron`: keep one of the two',
  ],
  [
    'a day that never comes',
    POLICY.replace('every: 30d', 'cron: "0 0 30 2 *"'),
    'a.yaml:18:20: spec.schedule.cron: has a field out of range, or a day that no month has',
  ],
  [
    'a blackout that ends before it begins',
    POLICY.replace('every: 30d', 'every: 30d, blackouts: [{from: 2026-12-24, to: 2026-12-01}]'),
    'a.yaml:18:61: spec.schedule.blackouts[0].to: must be after `from`',
  ],
  [
    'a store path that climbs',
    POLICY.replace('shop/orders}', '../orders}'),
    'a.yaml:10:17: spec.store.path: must not have the parts "." or ".."',
  ],
  [
    'two consumers of one name',
    POLICY.replace('name: batch', 'name: web'),
    'a.yaml:16:13: spec.consumers[1].name: is taken by a consumer above',
  ],
  [
    'text instead of a map',
    '- just a list',
    'a.yaml:1:1: needs a map with apiVersion, kind, metadata and spec',
  ],
  ['a duplicate field', `${PROVIDER}kind: Store\n`, 'a.yaml:5:1: the same field is written twice'],
])('%s is named', (_, text, expected) => {
  expect(problemsOf(text)).toEqual([expected]);
});

test('the same name twice is reported with where it was first', () => {
  expect(problemsOf(`${PROVIDER}---\n${PROVIDER}`)).toEqual([
    'a.yaml:6:1: metadata.name: Provider default/main is written already at a.yaml:1',
  ]);
});

describe('secrets', () => {
  const MARKER = 'hunter2-marker';
  test.each([
    [
      'an inline password',
      PROVIDER.replace('maxConcurrent: 2', `password: ${MARKER}`),
      'a.yaml:4:47: spec.password: must not be written here: write a reference, e.g. passwordFrom: {file: ...}',
    ],
    [
      'a password in a URL',
      PROVIDER.replace('//db', `//app:${MARKER}@db`),
      'a.yaml:4:19: spec.postgres.url: must not hold a password: leave it out of the URL and write a reference',
    ],
    [
      'a token in an annotation',
      PROVIDER.replace('name: main', `name: main, annotations: {api-token: ${MARKER}}`),
      'a.yaml:3:38: metadata.annotations.api-token: must not be written here: write a reference, e.g. api-tokenFrom: {file: ...}',
    ],
  ])('%s is refused, and never repeated', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });
  test.each([
    ['a name', PROVIDER.replace('name: main', `name: ${MARKER}!`)],
    ['a duration', POLICY.replace('every: 30d', `every: ${MARKER}`)],
    ['a cron', POLICY.replace('every: 30d', `cron: ${MARKER}`)],
    ['a zone', POLICY.replace('every: 30d', `every: 1d, timeZone: ${MARKER}`)],
    ['a choice', POLICY.replace('schedule:', `settle: {evidence: ${MARKER}}\n  schedule:`)],
    ['a kind', PROVIDER.replace('kind: Provider', `kind: ${MARKER}`)],
    ['a version', PROVIDER.replace('rotor.dev/v1alpha1', MARKER)],
    ['a number', PROVIDER.replace('maxConcurrent: 2', `maxConcurrent: ${MARKER}`)],
    ['a kind whose own schema quotes', POLICY.replace('/run/orders.json', MARKER)],
    ['broken YAML', PROVIDER.replace('{name: main}', `{name: *${MARKER}`)],
    ['an unclosed quote', PROVIDER.replace('{name: main}', `"${MARKER}`)],
    ['a whole document', MARKER],
  ])('%s that is really a password is not repeated', (_, text) => {
    const problems = problemsOf(text);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join('\n')).not.toContain(MARKER);
  });
});

test('aliases that multiply are refused', () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `l${i + 1}: &l${i + 1} [${Array(9).fill(`*l${i}`).join(', ')}]`,
  );
  expect(problemsOf(`l0: &l0 [x]\n${levels.join('\n')}\n`)).toEqual([
    'a.yaml:1:1: has aliases without anchors, or too many',
  ]);
});

test('editors get a JSON Schema with the fields of every registered kind', () => {
  const { oneOf } = z.object({ oneOf: z.array(z.any()) }).parse(manifestJsonSchema(registries));
  expect(oneOf).toHaveLength(4);
  expect(oneOf[0].properties.kind).toMatchObject({ const: 'RotationPolicy' });
  expect(oneOf[0].properties.spec.required).toEqual(['credential', 'store']);
  expect(oneOf[1].properties.spec.properties.postgres.properties.url).toEqual({ type: 'string' });
});

test('the label `environment` of a policy is kept with what it has a meaning for', () => {
  const labelled = (kind: string, spec: object) =>
    JSON.stringify({
      apiVersion: 'rotor.dev/v1alpha1',
      kind,
      metadata: { name: 'x', labels: { environment: 'production', team: 'shop' } },
      spec,
    });
  const [policy] = parseManifests(
    labelled('RotationPolicy', { credential: { random: {} }, store: { path: 'x' } }),
    'x.json',
    registries,
  );
  expect(policy?.spec).toMatchObject({ environment: 'production' });
  expect(policy?.spec).not.toHaveProperty('team');
  const [store] = parseManifests(labelled('Store', { local: { path: '/x' } }), 'x.json', registries);
  expect(store?.spec).not.toHaveProperty('environment');
});

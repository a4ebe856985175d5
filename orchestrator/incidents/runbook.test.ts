import { expect, test } from 'vitest';
import { BUILT_IN, ordersOf, stepsToKeep } from './runbook.ts';
import { type RunbookStep, runbookSpec } from './runbook-schema.ts';

const risk = (severity: string, validity = 'unknown', exposure = 'unknown') =>
  ({ severity, validity, exposure }) as Parameters<typeof ordersOf>[1];

test.each([
  [risk('critical'), 'revoke-first', 0],
  [risk('high', 'active'), 'revoke-first', 0],
  [risk('high', 'unknown', 'public'), 'revoke-first', 0],
  [risk('high', 'inactive', 'internal'), 'overlap', 900_000],
  [risk('low', 'active', 'public'), 'overlap', 900_000],
] as const)('without a runbook of its own, %j is answered by %s', (report, mode, revokeInMs) => {
  expect(ordersOf(BUILT_IN, report)).toMatchObject({ mode, revokeInMs, related: 'report' });
});

test('the soonest containment whose condition fits wins; without one only the rotation revokes', () => {
  const { steps } = runbookSpec.parse({
    steps: [
      { contain: { after: '1h' } },
      { contain: { after: '5m' }, when: { exposure: ['public'] } },
      { rotate: {} },
      { related: { policies: 'rotate' }, when: { severity: ['critical'] } },
    ],
  }) as { steps: RunbookStep[] };
  expect(ordersOf(steps, risk('low'))).toMatchObject({ revokeInMs: 3_600_000, related: 'report' });
  expect(ordersOf(steps, risk('low', 'unknown', 'public'))).toMatchObject({ revokeInMs: 300_000 });
  expect(ordersOf(steps, risk('critical'))).toMatchObject({ related: 'rotate' });
  expect(ordersOf([{ kind: 'rotate', spec: {} }], risk('critical'))).toMatchObject({
    mode: 'overlap',
    revokeInMs: undefined,
  });
});

test('a step names exactly one thing to do', () => {
  expect(runbookSpec.safeParse({ steps: [{ contain: {}, rotate: {} }] }).success).toBe(false);
  expect(runbookSpec.safeParse({ steps: [{ when: {} }] }).success).toBe(false);
  expect(runbookSpec.safeParse({ steps: [] }).success).toBe(false);
  expect(runbookSpec.safeParse({ steps: [{ contain: {} }] }).success).toBe(false);
  expect(runbookSpec.safeParse({ steps: [{ contain: {} }, { rotate: {} }] }).success).toBe(true);
});

const spec = (steps: readonly object[]) => runbookSpec.safeParse({ steps });
const steps = (list: readonly object[]) => runbookSpec.parse({ steps: list }).steps as RunbookStep[];

test('only an approval before it holds a containment or the rotation up', () => {
  const gated = steps([
    { contain: { after: '1h' } },
    { custom: { http: { url: 'https://x.example', secretFrom: { file: '/x' } } } },
    { approve: {} },
    { contain: {} },
    { rotate: {} },
  ]);
  expect(ordersOf(gated, risk('critical'))).toMatchObject({
    mode: 'overlap',
    revokeInMs: 3_600_000,
    held: true,
  });
  const after = steps([{ contain: {} }, { rotate: {} }, { approve: {} }]);
  expect(ordersOf(after, risk('critical'))).toMatchObject({ mode: 'revoke-first', held: false });
});

test('a step for some environments fits only policies that say that they are one of them', () => {
  const production = steps([{ approve: {}, when: { environment: ['production'] } }, { rotate: {} }]);
  const kinds = (environment?: string) =>
    ordersOf(production, { ...risk('high'), environment }).steps.map(({ kind }) => kind);
  expect(kinds('production')).toEqual(['approve', 'rotate']);
  expect(kinds('staging')).toEqual(['rotate']);
  expect(kinds()).toEqual(['rotate']);
});

test('nothing is kept where nothing proves a leak, and no approval for what is long dead', () => {
  const { steps: fitting } = ordersOf(
    steps([{ contain: {} }, { approve: {} }, { rotate: {} }]),
    risk('high'),
  );
  expect(stepsToKeep(fitting, 'watch')).toEqual([]);
  expect(stepsToKeep(fitting, 'prove').map(({ kind }) => kind)).toEqual(['contain', 'rotate']);
  expect(stepsToKeep(fitting, 'rotate')[1]).toMatchObject({ kind: 'approve', opensForMs: 4 * 3_600_000 });
});

test('parts of the rotation are named in its order, after it', () => {
  expect(spec([{ rotate: {} }, { deliver: {} }, { rollout: {} }, { prove: {} }]).success).toBe(true);
  expect(spec([{ rollout: {} }, { rotate: {} }]).success).toBe(false);
  expect(spec([{ rotate: {} }, { prove: {} }, { deliver: {} }]).success).toBe(false);
});

test('a mail with a password goes over an encrypted connection only', () => {
  const smtp = { host: 'mail.example', from: 'rotor@example.com', to: ['oncall@example.com'] };
  const login = { userFrom: { file: '/u' }, passwordFrom: { file: '/p' } };
  const mail = (more: object) => spec([{ rotate: {} }, { notify: { smtp: { ...smtp, ...more } } }]).success;
  expect(mail({})).toBe(true);
  expect(mail({ tls: 'none' })).toBe(true);
  expect(mail(login)).toBe(true);
  expect(mail({ ...login, tls: 'none' })).toBe(false);
  expect(mail({ userFrom: { file: '/u' } })).toBe(false);
});

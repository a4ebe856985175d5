import { expect, test } from 'vitest';
import { BUILT_IN, ordersOf, type RunbookStep, runbookSpec } from './runbook.ts';

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

import { expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import type { RotatorSession } from '../../rotators/rotator.ts';
import type { StepContext } from '../saga/context.ts';
import type { Position } from '../saga/position.ts';
import { install } from './install.ts';

const NOW = new Date('2026-01-01T00:01:00Z');
const PREPARED = new Map([['install', { prepared: true }]]);

interface Given {
  readonly position?: Partial<Position>;
  readonly rotator?: Partial<RotatorSession>;
  readonly resumedBy?: string;
}

/** @returns what was called at the rotator, and a context with as much as the step asks for */
function given({ position = {}, rotator = {}, resumedBy }: Given) {
  const called: string[] = [];
  const session = {
    capabilities: { overlap: 'none', leavesOld: 'untried' },
    install: async () => void called.push('install'),
    uninstall: async () => void called.push('uninstall'),
    ...rotator,
    ...(rotator.prepare ? { prepare: async () => void called.push('prepare') } : {}),
  };
  const at = {
    notes: new Map(),
    doneAt: new Map(),
    unanswered: new Set(),
    backSince: undefined,
    ...position,
  };
  const context = {
    parts: { rotator: session },
    position: at,
    call: () => ({}),
    newCredential: async () => ({ identity: 'app' }),
    oldCredential: async () => undefined,
    now: async () => NOW,
    resumedBy: async () => resumedBy,
  } as unknown as StepContext;
  return { called, context };
}

const prepare = async () => undefined;
const asks = async () => {
  throw new RotorError('rotation.needs-human', { what: 'nobody can tell' });
};

test('what comes before it is on record before it begins', async () => {
  const first = given({ rotator: { prepare } });
  expect(await install.perform(first.context)).toMatchObject({ waitMs: 0, note: { prepared: true } });
  expect(first.called).toEqual(['prepare']);
  const second = given({ rotator: { prepare }, position: { notes: PREPARED as Position['notes'] } });
  expect(await install.perform(second.context)).toEqual({ facts: { identity: 'app' } });
  expect(second.called).toEqual(['install']);
});

test('what was never begun has nothing to take back', async () => {
  const { called, context } = given({ rotator: { prepare, uninstall: asks } });
  expect(await install.undo?.(context)).toMatchObject({ facts: { skipped: expect.any(String) } });
  expect(called).toEqual([]);
});

test.each<[string, Given, object]>([
  ['asks a human', {}, { code: 'rotation.needs-human' }],
  ['believes the one who goes on', { resumedBy: 'token/anna' }, { facts: { confirmedBy: 'token/anna' } }],
  [
    'believes nobody where it can look',
    { resumedBy: 'token/anna', rotator: { capabilities: {} as RotatorSession['capabilities'] } },
    { code: 'rotation.needs-human' },
  ],
])('where nothing can be taken back it %s', async (_what, more, expected) => {
  const { context } = given({ ...more, rotator: { uninstall: asks, ...more.rotator } });
  const seen = await Promise.resolve(install.undo?.(context)).catch((error: unknown) => error);
  expect(seen).toMatchObject(expected);
});

test.each([
  ['a call without an answer may still land: it waits', '2026-01-01T00:00:50Z', true, 20_000],
  ['it has waited', '2026-01-01T00:00:30Z', true, undefined],
  ['every call was answered', '2026-01-01T00:00:50Z', false, undefined],
])('%s', async (_what, since, unanswered, waitMs) => {
  const { called, context } = given({
    rotator: { lingersMs: 30_000 },
    position: { backSince: new Date(since), unanswered: new Set(unanswered ? (['install'] as const) : []) },
  });
  const seen = await install.undo?.(context);
  expect(seen).toMatchObject(waitMs === undefined ? { facts: {} } : { waitMs });
  expect(called).toEqual(waitMs === undefined ? ['uninstall'] : []);
});

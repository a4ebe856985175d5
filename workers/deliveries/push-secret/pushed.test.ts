import { expect, test } from 'vitest';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { isPushed, neverPushed, pushing } from './pushed.ts';

const NOW = Date.parse('2026-11-21T10:00:00.000Z');
const object = (told: string | undefined, synced: string | undefined, ready = 'True'): ClusterObject => ({
  metadata: { annotations: told === undefined ? {} : { 'force-sync': told } },
  status: { syncedResourceVersion: synced, conditions: [{ type: 'Ready', status: ready, reason: 'Synced' }] },
});
const told = (versionId: string, before: string) =>
  `${versionId} since 2026-11-21T10:00:00.000Z after ${before}`;

test.each<[string, ClusterObject, boolean]>([
  ['was never told', object(undefined, '1-a'), false],
  ['has not looked since', object(told('v1', '1-a'), '1-a'), false],
  ['has pushed since', object(told('v1', '1-a'), '1-b'), true],
  ['pushed for the first time', object(told('v1', 'none'), '1-b'), true],
  ['has never pushed', object(told('v1', 'none'), undefined), false],
  ['failed', object(told('v1', '1-a'), '1-b', 'False'), false],
  ['was told of another version', object(told('v0', '1-a'), '1-b'), false],
])('an operator that %s', (_, found, expected) => {
  expect(isPushed(found, 'v1')).toBe(expected);
});

test('it is told once, again after half a minute, and anew when what it pushed has to be pushed again', () => {
  const first = pushing(object(undefined, '1-a'), 'v1', NOW);
  expect(first).toBe(told('v1', '1-a'));
  expect(pushing(object(first, '1-a'), 'v1', NOW + 29_999)).toBeUndefined();
  expect(pushing(object(first, '1-a'), 'v1', NOW + 30_000)).toBe(
    'v1 since 2026-11-21T10:00:00.000Z again 1 after 1-a',
  );
  expect(pushing(object(first, '1-b'), 'v1', NOW + 5_000)).toBe(
    'v1 since 2026-11-21T10:00:05.000Z after 1-b',
  );
});

test.each<[object, RegExp | undefined]>([
  [{ selector: { secret: { name: 'db' } } }, undefined],
  [{ selector: { secret: { selector: { matchLabels: {} } } } }, /names no Secret/],
  [{ selector: { generatorRef: {} } }, /names no Secret/],
  [{ selector: { secret: { name: 'db' } }, updatePolicy: 'IfNotExists' }, /never replaced/],
])('a PushSecret with %j', (spec, expected) => {
  const found = neverPushed({ spec });
  if (expected) expect(found).toMatch(expected);
  else expect(found).toBeUndefined();
});

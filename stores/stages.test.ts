import { expect, test } from 'vitest';
import { type Droppable, marked } from './stages.ts';
import type { Stage } from './store.ts';

const version = (versionId: string, stages: readonly Stage[] = []): Droppable => ({
  versionId,
  createdAt: '2026-11-21T10:00:00.000Z',
  stages,
});

test('what falls out of a record is marked first, and no version with a stage ever is', () => {
  const before = [version('a'), version('b'), version('c', ['previous']), version('d', ['current'])];
  const after = marked(before, [...before, version('e', ['pending'])], 1);
  expect(after.map(({ versionId, dropped }) => `${versionId}${dropped ? ' dropped' : ''}`)).toEqual([
    'a dropped',
    'b',
    'c',
    'd',
    'e',
  ]);
});

import { expect, test } from 'vitest';
import { RotorError } from '../core/errors.ts';
import { SecretValue } from '../core/secret.ts';
import { type Droppable, marked, readBeside } from './stages.ts';
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

test('a version that is discarded while it is read is looked for again, and damage only when it is still on record', async () => {
  const document = SecretValue.of('x');
  const looks = [['a'], ['b']].map((ids) =>
    ids.map((id) => ({ ...version(id), stages: ['current' as const] })),
  );
  const look = async () => ({ versions: looks.shift() ?? [] });
  const missing = (id: string) => new RotorError('store.unavailable', { what: id, kind: 'terminal' });
  const found = await readBeside(
    'current',
    look,
    async ({ versionId }) => (versionId === 'b' ? document : undefined),
    missing,
  );
  expect(found).toEqual({ versionId: 'b', document });
  const same = async () => ({ versions: [version('a')] });
  await expect(readBeside({ versionId: 'a' }, same, async () => undefined, missing)).rejects.toThrow('a');
});

import { expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { versionIdOf } from '../foreign-ids.ts';
import { currentOf, decodeState, effective, encodeState, followed, type Seen, type State } from './state.ts';

const AT = new Date('2026-01-02T03:04:05.678Z');
const seen = (changes: Partial<Seen> = {}): Seen => ({
  number: 4,
  createdAt: AT,
  gone: false,
  same: false,
  ...changes,
});
const version = (versionId: string, stages: State['versions'][number]['stages'] = []) => ({
  versionId,
  createdAt: '2026-01-01T00:00:00.000Z',
  stages,
  numbers: [],
});
const state = (live?: State['live']): State => ({
  fence: 1n,
  versions: [version('a', ['previous']), version('b', ['current'])],
  live,
});

test.each([
  ['nothing anywhere', undefined, seen({ number: 0, gone: true }), 'none'],
  ['a path that Rotor never wrote', undefined, seen(), 'foreign'],
  ['a path that was deleted', { versionId: 'b', number: 4, published: true }, seen({ gone: true }), 'none'],
  [
    'what Rotor published',
    { versionId: 'b', number: 4, published: true },
    seen(),
    { versionId: 'b', published: true },
  ],
  [
    'a decision that nobody carried out',
    { versionId: 'b', number: 5, published: false },
    seen(),
    { versionId: 'b', published: false },
  ],
  [
    'one on a path without a secret',
    { versionId: 'b', number: 1, published: false },
    seen({ number: 0, gone: true }),
    { versionId: 'b', published: false },
  ],
  [
    'one that was carried out, unconfirmed',
    { versionId: 'b', number: 4, published: false },
    seen({ same: true }),
    { versionId: 'b', published: false },
  ],
  [
    'one that somebody else was faster than',
    { versionId: 'b', number: 4, published: false },
    seen(),
    'foreign',
  ],
  ['a change by hand afterwards', { versionId: 'b', number: 3, published: true }, seen(), 'foreign'],
  [
    'a path that was deleted and made anew',
    { versionId: 'b', number: 9, published: true },
    seen(),
    'foreign',
  ],
])('%s', (_, live, look, expected) => {
  const current = currentOf(state(live), look, 'shop/app');
  if (typeof expected === 'string') expect(current.is).toBe(expected);
  else expect(current).toEqual({ is: 'ours', ...expected });
});

test('a version of somebody else has the same id at every look, and another one elsewhere', () => {
  const id = (path: string, look: Seen) => {
    const current = currentOf(state(), look, path);
    return current.is === 'foreign' ? current.versionId : undefined;
  };
  expect(id('shop/app', seen())).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(id('shop/app', seen())).toBe(id('shop/app', seen({ same: true })));
  expect(id('shop/app', seen())).not.toBe(id('shop/app', seen({ number: 5 })));
  expect(id('shop/app', seen())).not.toBe(id('shop', seen()));
});

test('beside a version of somebody else ours is the previous one', () => {
  const known = state({ versionId: 'b', number: 3, published: true });
  const stages = effective(known, currentOf(known, seen(), 'x'), seen()).map((each) => each.stages.join());
  expect(stages).toEqual(['', 'previous', 'current']);
});

test('a record is read back as it was written, and nothing else is', () => {
  const known = state({ versionId: 'b', number: 3, published: true });
  expect(decodeState(encodeState(known, 'f/1'), 'f/1', 'Vault', 'x')).toEqual(known);
  for (const data of [SecretValue.of('{"mine":1}'), encodeState(known, 'f/2')])
    expect(() => decodeState(data, 'f/1', 'Vault', 'x')).toThrow('store path x');
});

test('a document that two workers published is Rotor’s under its later number, and both are remembered', () => {
  const known = state({ versionId: 'b', number: 4, published: true });
  const once = followed(
    { ...known, versions: [{ ...version('b'), numbers: [4] }] },
    { number: 5, same: true },
  );
  expect(once).toMatchObject({ live: { number: 5, published: true }, versions: [{ numbers: [4, 5] }] });
  expect(followed(known, { number: 5, same: false })).toBe(known);
  // What isn't on record as published gets its number when it is.
  const decided = state({ versionId: 'b', number: 4, published: false });
  expect(followed(decided, { number: 5, same: true })).toMatchObject({
    live: { number: 5, published: false },
    versions: [{ numbers: [] }, { numbers: [] }],
  });
});

test('ids of what others wrote stay what they have always been: they are on record in stores and ledgers', () => {
  const at = new Date('2026-01-01T00:00:00Z');
  expect(currentOf(state(), seen({ number: 3, createdAt: at }), 'shop/app')).toEqual({
    is: 'foreign',
    versionId: '34994a0f-00b0-884e-9ed7-65d5ce92f31f',
  });
  expect(versionIdOf('shop/app', 'their-token')).toBe('ae1c30bd-c52d-8702-8f8a-444972e349ea');
});

import { expect, test } from 'vitest';
import { discarding, type Labels, PLACEHOLDER, promotion, stagesOf, versionWith } from './labels.ts';

const path = 'shop/app';

test.each<[string, Labels, string, string | undefined, unknown]>([
  ['a first version', { a: ['AWSPENDING'] }, 'a', undefined, ['AWSCURRENT -> a', 'AWSPENDING a ->']],
  [
    'the next one',
    { a: ['AWSCURRENT'], b: ['AWSPENDING'] },
    'b',
    'a',
    ['AWSCURRENT a -> b', 'AWSPENDING b ->'],
  ],
  ['one without labels', { a: ['AWSCURRENT'] }, 'b', 'a', ['AWSCURRENT a -> b']],
  ['back', { a: ['AWSPREVIOUS'], b: ['AWSCURRENT'] }, 'a', 'b', ['AWSCURRENT b -> a']],
  ['a repeat', { a: ['AWSPREVIOUS'], b: ['AWSCURRENT'] }, 'b', 'a', []],
  [
    'a repeat after a death between two calls',
    { a: ['AWSPREVIOUS'], b: ['AWSCURRENT', 'AWSPENDING'] },
    'b',
    'a',
    ['AWSPENDING b ->'],
  ],
  [
    'back after a death between two calls',
    { a: ['AWSPREVIOUS'], b: ['AWSCURRENT', 'AWSPENDING'] },
    'a',
    'b',
    ['AWSCURRENT b -> a', 'AWSPENDING b ->'],
  ],
  [
    'over the placeholder',
    { [PLACEHOLDER.token]: ['AWSCURRENT'], a: ['AWSPENDING'] },
    'a',
    undefined,
    [`AWSCURRENT ${PLACEHOLDER.token} -> a`, 'AWSPENDING a ->'],
  ],
])('promoting %s', (_, labels, versionId, expected, moves) => {
  const told = promotion(labels, path, versionId, expected).map(
    ({ label, from = '', to = '' }) => `${label}${from && ` ${from}`} ->${to && ` ${to}`}`,
  );
  expect(told).toEqual(moves);
});

test('promoting over somebody else’s version is a conflict that names both', () => {
  expect(() => promotion({ x: ['AWSCURRENT'], b: ['AWSPENDING'] }, path, 'b', 'a')).toThrow(
    'AWSCURRENT is on x, expected a',
  );
  expect(() => promotion({ x: ['AWSCURRENT'] }, path, 'b', undefined)).toThrow('expected none');
});

test('a version has one stage: what was current is not pending, whatever label was left on it', () => {
  expect(stagesOf(['AWSPENDING', 'AWSCURRENT'])).toEqual(['current']);
  expect(stagesOf(['AWSPENDING', 'AWSPREVIOUS'])).toEqual(['previous']);
  expect(stagesOf(['AWSPENDING', 'team-label'])).toEqual(['pending']);
  expect(stagesOf(['team-label'])).toEqual([]);
});

test('the placeholder is no version', () => {
  expect(versionWith({ [PLACEHOLDER.token]: ['AWSCURRENT'] }, 'current')).toBeUndefined();
  expect(PLACEHOLDER.token.length).toBeGreaterThanOrEqual(32);
});

test('discarding takes the stages off, leaves labels of others, and never touches the current version', () => {
  expect(discarding({ b: ['AWSPENDING', 'team'] }, path, 'b')).toEqual([{ label: 'AWSPENDING', from: 'b' }]);
  expect(discarding({}, path, 'b')).toEqual([]);
  expect(() => discarding({ a: ['AWSCURRENT'] }, path, 'a')).toThrow('is current');
});

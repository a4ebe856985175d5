import { expect, test } from 'vitest';
import { type Delivered, deliveredOf, disturbed } from './followed-secrets.ts';

const version = '0b0f3f5e-2f6d-4c1e-9a55-6f2f0f1b2c3d';
const now: Delivered = { version, fence: '7', resourceVersion: '10' };

test.each<[string, Delivered | undefined, Delivered | undefined, string | undefined]>([
  ['first heard of', undefined, now, undefined],
  ['listed again as it was', now, now, undefined],
  ['written by a later rotation', now, { ...now, fence: '8', resourceVersion: '11' }, undefined],
  ['changed in any way', now, { ...now, resourceVersion: '11' }, version],
  ['given another version by hand', now, { ...now, version: 'x', resourceVersion: '11' }, version],
  ['taken away', now, undefined, version],
  ['taken away with a version of somebody else', { ...now, version: 'x' }, undefined, undefined],
])('a Secret that was %s', (_, before, after, expected) => {
  expect(disturbed({ before, after })).toBe(expected);
});

test('of a Secret nothing is kept but our own marks, and nothing of those without', () => {
  const metadata = {
    name: 'db',
    resourceVersion: '10',
    annotations: { 'rotor.dev/version': version, 'rotor.dev/fence': '7', team: 'shop' },
  };
  expect(deliveredOf({ metadata, data: { password: 'cw==' } })).toEqual(now);
  expect(deliveredOf({ metadata: { name: 'db' }, data: { password: 'cw==' } })).toBeUndefined();
});

import { expect, test } from 'vitest';
import type { Pod } from '../controllers/client/wire.ts';
import { pictureOf, shortNames } from './picture.ts';
import { JOBS, WEB } from './workloads.ts';

let made = 0;
interface Looks {
  readonly app?: string;
  readonly secret?: string;
  readonly version?: string;
  readonly slot?: string;
  readonly ready?: boolean;
  readonly ending?: boolean;
}

function pod({ app = 'web', secret = 'web-db', version, slot, ready = true, ending = false }: Looks): Pod {
  made += 1;
  const created = new Date(Date.UTC(2026, 0, 1, 0, 0, made)).toISOString();
  return {
    metadata: {
      name: `pod-${made}`,
      namespace: 'shop',
      uid: `uid-${made}`,
      resourceVersion: '1',
      creationTimestamp: created,
      labels: { app, ...(slot === undefined ? {} : { 'rotor.dev/slot': slot }) },
      annotations: version === undefined ? {} : { [`secret.rotor.dev/${secret}`]: version },
      ...(ending ? { deletionTimestamp: created } : {}),
    },
    spec: { containers: [] },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

test.each<readonly [string, readonly Looks[], Record<string, string>, string]>([
  ['before Rotor', [{}, {}], { app: 'web' }, 'web   v1 ●●'],
  ['no pods', [], {}, 'web   no pods'],
  ['not ready', [{ ready: false }, {}], {}, 'web   v1 ○●'],
  [
    'one by one: an old one ends, a new one isn’t ready yet',
    [{}, { ending: true }, { version: 'b' }, { version: 'b', ready: false }],
    {},
    'web   v1 ●◌   v2 ●○',
  ],
  [
    'a twin beside blue, to which the Service still leads',
    [{ slot: 'blue' }, { version: 'b', slot: 'green-1', ready: false }],
    { 'rotor.dev/slot': 'blue' },
    'web   v1 ● ◀ Service   green v2 ○',
  ],
  [
    'the Service leads to the twin, and blue takes the version too',
    [{ slot: 'blue' }, { version: 'b', slot: 'green-1' }, { version: 'b', ready: false }],
    { 'rotor.dev/slot': 'green-1' },
    'web   v1 ●   green v2 ● ◀ Service   v2 ○',
  ],
  [
    'blue alone, after a rollback: there is nothing to choose from',
    [{ slot: 'blue' }],
    { 'rotor.dev/slot': 'blue' },
    'web   v1 ●',
  ],
  ['pods of others', [{}, { app: 'jobs' }], {}, 'web   v1 ●'],
])('%s', (_, looks, selector, expected) => {
  expect(pictureOf(WEB, looks.map(pod), selector, shortNames())).toBe(expected);
});

test('a version keeps its short name, and each application reads its own annotation', () => {
  const short = shortNames();
  const looks = { app: 'jobs', secret: 'jobs-db' };
  expect(pictureOf(JOBS, [pod({ ...looks, version: 'x' })], {}, short)).toBe('jobs  v1 ●');
  expect(pictureOf(JOBS, [pod({ ...looks, version: 'y' })], {}, short)).toBe('jobs  v2 ●');
  expect(pictureOf(JOBS, [pod({ ...looks, version: 'x' })], {}, short)).toBe('jobs  v1 ●');
});

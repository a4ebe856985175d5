import { expect, test } from 'vitest';
import { baseName, versionRef } from './names.ts';

test('paths that look alike have names of their own, and the names are good for objects and labels', () => {
  const paths = [
    'shop/app',
    'shop-app',
    'shop.app',
    'shop_app',
    'Shop/App',
    'shop',
    '_',
    '@',
    `a/${'b'.repeat(398)}`,
  ];
  const names = paths.map(baseName);
  expect(new Set(names).size).toBe(paths.length);
  for (const name of names) expect(name).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  expect(names[0]).toBe('rotor-shop-app-87bf3caf70ce3a93');
  expect(versionRef('vault', 'shop/app', '018f-a')).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    namespace: 'vault',
    name: `${names[0]}.018f-a`,
  });
});

test.each(['', '/', 'a//b', '../a', 'a/..', 'a b', 'a?b', 'ü', 'a'.repeat(401)])(
  'the path "%s" is refused',
  (path) => {
    expect(() => baseName(path)).toThrow(expect.objectContaining({ code: 'manifest.invalid' }));
  },
);

test.each(['A', 'a.b', '-a', 'a-', 'x'.repeat(65)])('the version id "%s" is refused', (versionId) => {
  expect(() => versionRef('vault', 'shop/app', versionId)).toThrow(
    expect.objectContaining({ code: 'internal.bug' }),
  );
});

import { expect, test } from 'vitest';
import { urlPart, urlPath } from './url-path.ts';

test.each([
  ['sys/leases/revoke-prefix/database/creds/app', 'sys/leases/revoke-prefix/database/creds/app'],
  ['secret/data/a b?#%2e%2e', 'secret/data/a%20b%3F%23%252e%252e'],
  ['sys/leases/lookup/a/', 'sys/leases/lookup/a/'],
  ['.well-known/..x/...', '.well-known/..x/...'],
])('%s is the path it says', (path, written) => {
  expect(urlPath(path)).toBe(written);
  expect(new URL(`https://vault.example/v1/${written}`).pathname).toBe(`/v1/${written}`);
});

test.each(['sys/leases/revoke-prefix/a/../../../seal', '..', 'a/.', './a'])('%s is no path', (path) => {
  expect(() => urlPath(path)).toThrow(expect.objectContaining({ code: 'manifest.invalid' }));
});

test('a part keeps its slashes to itself', () => {
  expect(urlPart('shop/../orders')).toBe('shop%2F..%2Forders');
  expect(() => urlPart('..')).toThrow('would lead to another one');
});

import { expect, test } from 'vitest';
import { hashUuid } from './hash-uuid.ts';

test.each([
  ['uid\nprint\n[]', undefined, 'edeecd06-5e85-87d4-8a83-502d799f2831'],
  ['uid\nprint\n[1]', undefined, '3bbad6db-7c36-8319-af10-b4d72f12058a'],
  ['a', undefined, 'ca978112-ca1b-8dca-bac2-31b39a23dc4d'],
  ['a', '9', 'ca978112-ca1b-8dca-9ac2-31b39a23dc4d'],
] as const)('%j with variant %s', (text, variant, id) => {
  expect(hashUuid(text, variant)).toBe(id);
});

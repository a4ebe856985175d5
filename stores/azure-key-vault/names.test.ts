import { expect, test } from 'vitest';
import { Names } from './names.ts';
import { keyVaultSpec } from './spec.ts';

test.each([
  ['', 'shop/orders-db', 'shop--orders-db'],
  ['prod-', 'shop', 'prod-shop'],
  ['', 'Db1/x/y', 'Db1--x--y'],
])('prefix "%s" and path "%s" are the secret %s', (prefix, path, name) => {
  expect(new Names(prefix, path).live).toBe(name);
});

test.each([
  'shop--app',
  'shop-/app',
  'shop/-app',
  'shop//app',
  'shop_app',
  'shop.app',
  'shop--app---rotor-stages',
  '',
  'a'.repeat(82),
])('the path "%s" has no name of its own', (path) => {
  expect(() => new Names('', path)).toThrow('is not usable in Azure Key Vault');
});

test('every name of Rotor fits, and is no name of a path', () => {
  const names = new Names('', 'a'.repeat(81));
  const id = '0b6b1f0e-5f0a-4f6e-9d0a-3c1c8d4e2a11';
  for (const name of [names.record, names.kept(id), names.turn('f'.repeat(32)), names.turn(undefined)])
    expect(name).toMatch(/^[0-9A-Za-z-]{1,127}$/);
});

test.each([
  ['https://shop.vault.azure.net', true],
  ['https://shop.vault.azure.net/', true],
  ['http://shop.vault.azure.net', false],
  ['http://127.0.0.1:1', false],
  ['https://user:pw@shop.vault.azure.net', false],
  ['https://shop.vault.azure.net/secrets', false],
])('the address %s: %s', (vaultUrl, fine) => {
  expect(keyVaultSpec.safeParse({ vaultUrl }).success).toBe(fine);
});

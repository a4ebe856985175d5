import { expect, test } from 'vitest';
import { alertName, isBelow } from './github-api.ts';

test.each([
  ['https://api.github.com', 'https://api.github.com/repositories/1/secret-scanning/alerts/1', true],
  ['https://git.acme.com/api/v3', 'https://git.acme.com/api/v3/repositories/1', true],
  ['https://git.acme.com/api/v3', 'https://git.acme.com/login', false],
  ['https://git.acme.com/api/v3', 'https://git.acme.com/api/v3/../../login', false],
  ['https://api.github.com', 'http://api.github.com/repositories/1', false],
  ['https://api.github.com', 'https://api.github.com.evil.example/repositories/1', false],
  ['https://api.github.com', 'https://user@api.github.com/repositories/1', false],
  ['https://api.github.com', 'http://169.254.169.254/latest/meta-data', false],
  ['https://api.github.com', '/repositories/1', false],
])('from %s a detour to %s is followed: %s', (base, address, followed) => {
  expect(isBelow(base, address)).toBe(followed);
});

test.each([
  [{ owner: 'acme', repo: 'shop', number: 1 }, true],
  [{ owner: 'jo_acme', repo: '.github', number: 2_147_483_647 }, true],
  [{ owner: '..', repo: 'shop', number: 1 }, false],
  [{ owner: 'acme', repo: '..', number: 1 }, false],
  [{ owner: 'acme', repo: 'a/b', number: 1 }, false],
  [{ owner: 'acme', repo: 'shop?x', number: 1 }, false],
  [{ owner: 'acme', repo: 'shop%2f', number: 1 }, false],
  [{ owner: 'acme', repo: 'shop', number: 0 }, false],
  [{ owner: 'acme', repo: 'shop', number: 1.5 }, false],
])('%j names an alert: %s', (name, valid) => {
  expect(alertName.safeParse(name).success).toBe(valid);
});

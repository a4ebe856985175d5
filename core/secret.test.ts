import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { SecretValue } from './secret.ts';

test('a secret shows itself nowhere but through reveal()', () => {
  const secret = SecretValue.of('hunter2');
  for (const shown of [
    `${secret}`,
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: { secret } }, { showHidden: true }),
  ]) {
    expect(shown).toContain('[secret]');
    expect(shown).not.toContain('hunter2');
  }
  expect(secret.reveal()).toBe('hunter2');
});

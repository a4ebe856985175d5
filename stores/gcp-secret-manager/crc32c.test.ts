import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';

test.each([
  ['', 0],
  ['123456789', 0xe3069283],
  ['The quick brown fox jumps over the lazy dog', 0x22620404],
])('%s', (text, sum) => {
  expect(crc32c(Buffer.from(text))).toBe(sum);
});

test('32 bytes of zeros, as RFC 3720 has it', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
});

import { createHash } from 'node:crypto';

/**
 * The same UUID for the same text, whoever makes it: version 8 of RFC 9562, whose bits are made as their maker likes.
 * @param variant its digit after the third dash, fixed where ids have always had that one; taken from the hash when absent
 */
export function hashUuid(text: string, variant?: '8' | '9'): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const digit = variant ?? (0x8 | (Number.parseInt(hex.charAt(16), 16) & 0x3)).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${digit}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

import { createHash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Rotor's id of a version: what its home calls it when that is a UUID (all of ours, and those that AWS makes itself), else
 * one that is derived from its name. The ledger keeps UUIDs; other tools use tokens of their own.
 */
export function versionIdOf(path: string, foreign: string): string {
  if (UUID.test(foreign)) return foreign;
  const hex = createHash('sha256').update(`${path}\u0000${foreign}`).digest('hex');
  // Version 8 of RFC 9562: made as its maker likes.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

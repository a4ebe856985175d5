import { hashUuid } from '../core/hash-uuid.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Rotor's id of a version: what its home calls it when that is a UUID (all of ours, and those that AWS makes itself), else
 * one that is derived from its name. The ledger keeps UUIDs; other tools use tokens of their own.
 */
export function versionIdOf(path: string, foreign: string): string {
  if (UUID.test(foreign)) return foreign;
  return hashUuid(`${path}\u0000${foreign}`, '8');
}

import { createHash } from 'node:crypto';

/** Tells whether a version was written by the same templates and settings: 12 characters, of nothing that is secret. */
export function formOf(...settings: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(settings)).digest('hex').slice(0, 12);
}

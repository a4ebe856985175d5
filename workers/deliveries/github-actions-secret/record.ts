import { z } from 'zod';
import { jsonIn } from '../../../core/json.ts';

const record = z.object({
  version: z.string(),
  /** Of templates and settings: a changed one is no longer held. */
  form: z.string(),
  /** As GitHub told it after the write; absent while it is being written. */
  updatedAt: z.string().optional(),
});

/**
 * What Rotor keeps beside a secret that nobody can read: which version it wrote, and when GitHub says that it was changed last.
 * It is written before the secret, without a time, and completed after it: whatever a crash leaves between says "unknown".
 */
export type Record = z.output<typeof record>;

/** Undefined for what isn't a record of ours. */
export function parseRecord(text: string): Record | undefined {
  return record.safeParse(jsonIn(text)).data;
}

/** Name of the Actions variable beside the secret. */
export function recordName(secret: string, dependabot: boolean): string {
  return `${secret}_ROTOR${dependabot ? '_DEPENDABOT' : ''}`;
}

export interface ShownSecret {
  readonly updatedAt: string;
  readonly visibility?: string | undefined;
}

/**
 * How a secret differs from what is to be there, in words; undefined when it is held. A change in the very second of ours
 * can't be told: GitHub counts in seconds.
 */
export function differenceOf(
  wanted: {
    readonly name: string;
    readonly version: string;
    readonly form: string;
    readonly visibility?: string | undefined;
  },
  found: ShownSecret | undefined,
  kept: Record | undefined,
): string | undefined {
  const { name } = wanted;
  if (!found) return `secret ${name} is not there`;
  if (!kept) return `secret ${name} has no record of which version it holds`;
  if (kept.updatedAt === undefined) return `secret ${name} was being written when the worker stopped`;
  if (kept.version !== wanted.version) return `secret ${name} holds another version`;
  if (kept.form !== wanted.form) return `secret ${name} was written by another template`;
  if (kept.updatedAt !== found.updatedAt)
    return `secret ${name} was changed at ${found.updatedAt}, after Rotor wrote it`;
  if (wanted.visibility !== found.visibility) return `the visibility of secret ${name} was changed`;
  return undefined;
}

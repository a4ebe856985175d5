import { ERROR_CODES } from '../../core/error-codes.ts';
import type { ErrorRecord } from '../../core/errors.ts';
import type { Rotation } from '../../ledger/rotations.ts';

/**
 * Whether a rotation that stopped for a human may go on by itself once its credential has leaked: where it stopped at something
 * that is known (consumers who still use the old one, a permission that is missing), going on is what the human would do. Where
 * nobody knows what happened, a person looks first. Pure.
 */
export function mayTakeOver({ state, error }: Pick<Rotation, 'state' | 'error'>): boolean {
  return state === 'needs-human' && isKnown(error);
}

function isKnown(error: ErrorRecord | undefined): boolean {
  if (!error || error.code === 'internal.bug') return false;
  const codes: Readonly<Record<string, readonly [string, string]>> = ERROR_CODES;
  const kind = codes[error.code]?.[0];
  return kind !== undefined && kind !== 'ambiguous';
}

/** What a person has to know and do about a rotation that waits for one; undefined when it doesn't. */
export function needsOf({ id, state, error }: Pick<Rotation, 'id' | 'state' | 'error'>): string | undefined {
  if (state !== 'needs-human') return undefined;
  const command = `rotor resume rotation/${id}`;
  if (!error) return `It waits for a person: ${command}`;
  const { what, hint } = error;
  const doubt = isKnown(error)
    ? ''
    : ' What happened is not known, so that the incident does not go on by itself.';
  const settle = hint.includes(command) ? hint : `${hint} Then settle it with: ${command}`;
  return `${what}.${doubt} ${settle}`;
}

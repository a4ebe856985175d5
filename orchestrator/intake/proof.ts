import { timingSafeEqual } from 'node:crypto';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { HookRequest } from './source.ts';

/** More signatures than that in one header are nobody's rotation of a secret. */
const MAX_SHOWN = 10;
const NONE = SecretValue.of('a source without secrets still takes as long as one with');
const NOTHING = Buffer.alloc(0);
/** Of SHA-256. */
const DIGEST_BYTES = 32;

/** @param why for the audit trail; the sender learns nothing but 401 */
export function unauthenticated(why: string): RotorError {
  return new RotorError('hook.unauthenticated', { what: why });
}

export function malformed(why: string): RotorError {
  return new RotorError('hook.malformed', { what: why });
}

/**
 * Refuses unless one of `shown` is the HMAC-SHA-256 of `signed` under one of `secrets`. All are computed and compared,
 * whichever fits and whether there is anything to compare, so that the time tells nothing.
 */
export function assertSigned(
  secrets: readonly SecretValue[],
  shown: readonly Buffer[],
  signed: Buffer,
): void {
  const message = SecretValue.of(signed);
  const signatures = shown.length > 0 ? shown.slice(0, MAX_SHOWN) : [NOTHING];
  let proven = false;
  for (const secret of secrets.length > 0 ? secrets : [NONE]) {
    const expected = message.fingerprint(secret);
    for (const each of signatures) proven = sameDigest(expected, each) || proven;
  }
  message.destroy();
  if (!proven || secrets.length === 0) throw unauthenticated('no signature fits');
}

/** Refuses unless `Authorization: Bearer` shows one of `secrets`. */
export function assertBearer(request: HookRequest, secrets: readonly SecretValue[]): void {
  const shown = SecretValue.of(/^Bearer (\S{1,4096})$/i.exec(request.headers.authorization ?? '')?.[1] ?? '');
  let proven = false;
  for (const secret of secrets.length > 0 ? secrets : [NONE]) proven = sameSecret(secret, shown) || proven;
  shown.destroy();
  if (!proven || secrets.length === 0) throw unauthenticated('no bearer token fits');
}

/** Whether a stranger shows what is configured: compared as digests, so that not even the length can be told. */
export function sameSecret(configured: SecretValue, shown: SecretValue): boolean {
  return sameDigest(configured.fingerprint(NONE), shown.fingerprint(NONE));
}

/** Refuses what was signed longer ago than `windowMs`, or so far in the future. */
export function assertRecent(at: Date | undefined, now: Date, windowMs: number): void {
  const age = now.getTime() - (at?.getTime() ?? Number.NaN);
  if (!(Math.abs(age) <= windowMs))
    throw unauthenticated(at === undefined ? 'it has no time' : 'its time is outside the window');
}

/** Seconds since 1970, as most senders write them. */
export function unixTime(text: string | undefined): Date | undefined {
  return text !== undefined && /^\d{1,12}$/.test(text) ? new Date(Number(text) * 1_000) : undefined;
}

export function isoTime(text: string | undefined): Date | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : new Date(ms);
}

export function hex(text: string | undefined): Buffer {
  return /^([0-9a-f]{2}){1,128}$/i.test(text ?? '') ? Buffer.from(text ?? '', 'hex') : Buffer.alloc(0);
}

export function base64(text: string | undefined): Buffer {
  return /^[A-Za-z0-9+/]{1,1024}={0,2}$/.test(text ?? '')
    ? Buffer.from(text ?? '', 'base64')
    : Buffer.alloc(0);
}

/** The one comparison of what a stranger shows: as much work for whatever is shown, of whatever length. */
function sameDigest(expected: Buffer, shown: Buffer): boolean {
  const padded = Buffer.alloc(DIGEST_BYTES);
  shown.copy(padded);
  const same = timingSafeEqual(expected, padded);
  return shown.length === DIGEST_BYTES && same;
}

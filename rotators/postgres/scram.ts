import { createHash, createHmac, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { RotorError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { SecretValue } from '../../core/secret.ts';

const ITERATIONS = 4_096;
const SALT_BYTES = 16;
/** As PostgreSQL stores it. A malformed verifier would silently be taken as the password itself. */
const VERIFIER = /^SCRAM-SHA-256\$\d{4,6}:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/;

/**
 * The SCRAM-SHA-256 verifier of a password (RFC 5802 section 3, RFC 7677), made here so that neither the server's log
 * nor pg_stat_statements ever sees the password.
 */
export async function scramVerifier(password: SecretValue, random: Random): Promise<string> {
  const salt = Buffer.from(Array.from({ length: SALT_BYTES }, () => random.int(256)));
  return verifierOf(password, salt, ITERATIONS);
}

/** Non-ASCII spaces (RFC 3454 table C.1.2), and what is commonly mapped to nothing (table B.1). */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
const NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g;

/**
 * RFC 4013, the steps of it that change a text, as PostgreSQL and its drivers take them. Generated passwords are ASCII
 * and stay as they are; one that people chose, and which an undone rotation puts back, may not be.
 */
function saslprep(text: string): string {
  return text.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC');
}

/** @throws RotorError `internal.bug` when the result isn't of the form that PostgreSQL recognises */
export async function verifierOf(password: SecretValue, salt: Buffer, iterations: number): Promise<string> {
  const salted = await promisify(pbkdf2)(saslprep(password.reveal()), salt, iterations, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  salted.fill(0);
  const verifier = `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
  if (!VERIFIER.test(verifier))
    throw new RotorError('internal.bug', { what: 'the SCRAM verifier is malformed' });
  return verifier;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

import { z } from 'zod';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { parseDocument, type SecretDocument } from '../lambda/document.ts';

/** How the `ssl` field is understood: what is neither true nor false counts as absent. */
export type Encryption = 'required' | 'off' | 'preferred';

/** A database secret in the shape that AWS documents, with its defaults filled in. */
export interface DatabaseSecret {
  readonly document: SecretDocument;
  readonly credential: Credential;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly encryption: Encryption;
  /** Of the secret whose user may change the others. */
  readonly adminSecretId: string | undefined;
}

const ENGINES = ['postgres', 'aurora-postgresql'] as const;

const text = z.string().min(1);
const schema = z.object({
  engine: z.enum(ENGINES, 'must be postgres or aurora-postgresql'),
  host: text,
  username: text,
  password: text,
  port: z.coerce.number().int().min(1).max(65_535).nullish(),
  dbname: z.string().min(1).max(63).nullish(),
  masterarn: text.nullish(),
});

/**
 * Reads the JSON of AWS's database secrets: `{engine, host, username, password, dbname, port, masterarn, ssl}`.
 * @throws RotorError `credential.malformed`, naming fields but never values
 */
export function parseDatabaseSecret(value: SecretValue, ofWhat: string, versionId = ''): DatabaseSecret {
  const document = parseDocument(value, ofWhat);
  const parsed = schema.safeParse(document);
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path }) => `"${path.join('.')}"`);
    throw new RotorError('credential.malformed', {
      what: `${ofWhat} lacks ${[...new Set(fields)].join(', ')}, or has it in another form than AWS documents`,
      hint: 'Write it as {"engine":"postgres","host":...,"username":...,"password":...,"dbname":...,"port":...}; for alternating users with "masterarn".',
    });
  }
  const { host, username, password, port, dbname, masterarn } = parsed.data;
  return {
    document,
    credential: {
      versionId,
      identity: username,
      fields: { host },
      secrets: { password: SecretValue.of(password) },
    },
    host,
    port: port ?? 5_432,
    database: dbname ?? 'postgres',
    encryption: encryptionOf(document.ssl),
    adminSecretId: masterarn ?? undefined,
  };
}

function encryptionOf(ssl: unknown): Encryption {
  const word = typeof ssl === 'string' ? ssl.toLowerCase() : String(ssl);
  if (word === 'true') return 'required';
  return word === 'false' ? 'off' : 'preferred';
}

/**
 * Who can write a pending version must not be able to make us change another user, or speak to another server
 * (confused deputy).
 * @throws RotorError `provider.refused-credential`
 */
export function assertSameDatabase(
  one: DatabaseSecret,
  other: DatabaseSecret,
  names: readonly [string, string],
): void {
  const [first, second] = names;
  for (const field of ['host', 'port'] as const) {
    if (one[field] === other[field]) continue;
    throw new RotorError('provider.refused-credential', {
      what: `${first} names another ${field} ("${one[field]}") than ${second} ("${other[field]}")`,
      hint: 'Correct the secret that is wrong; a pending version may be dropped by taking AWSPENDING from it.',
    });
  }
}

/** @throws RotorError `provider.refused-credential` */
export function assertUser(pending: DatabaseSecret, expected: string): void {
  const { identity } = pending.credential;
  if (identity === expected) return;
  throw new RotorError('provider.refused-credential', {
    what: `the pending version is of user ${identity}, where ${expected} is to be changed`,
    hint: 'Drop the pending version by taking AWSPENDING from it, and start the rotation again.',
  });
}

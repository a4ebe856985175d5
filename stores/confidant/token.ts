import type { KMS } from '@aws-sdk/client-kms';
import { awsConnection } from '../../core/aws/connection.ts';
import type { Call } from '../../core/call.ts';
import { clientsOf } from '../../core/clients.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { secretIn } from '../../core/secret-file.ts';
import { ask } from '../aws/send.ts';
import type { ConfidantSpec, KmsAuth } from './spec.ts';

/** Clocks may differ so much; both ends of a token's time are moved by it. */
const SKEW_MS = 3 * 60_000;
/** A token is replaced so long before it ends. */
const EARLY_MS = 2 * 60_000;

const clients = clientsOf<KmsAuth, KMS>(async (auth) => {
  // Loaded here, so that only who uses this store pays for the SDK.
  const { KMS: Client } = await import('@aws-sdk/client-kms');
  return new Client(await awsConnection(auth));
});

/** What goes into the headers `X-Auth-From` and `X-Auth-Token`. */
export interface ConfidantToken {
  readonly username: string;
  readonly token: SecretValue;
}

/** Keeps a token of KMS authentication at hand: read from a file each time, or encrypted by KMS and kept while it lasts. */
export class ConfidantLogin {
  readonly #auth: ConfidantSpec['auth'];
  #held: (ConfidantToken & { readonly until: number }) | undefined;

  constructor(spec: ConfidantSpec) {
    this.#auth = spec.auth;
  }

  /** @throws RotorError `reference.unresolved`, or as AWS answers */
  async token(call: Call): Promise<ConfidantToken> {
    const { token, kms } = this.#auth;
    if (token) {
      const { username, from } = token;
      return { username, token: await secretIn(from.file, 'auth of the Confidant store') };
    }
    if (!kms) throw new RotorError('internal.bug', { what: 'a Confidant store without a way to log in' });
    if (this.#held && call.clock.monotonicMs() < this.#held.until) return this.#held;
    this.forget();
    const held = { ...(await made(call, kms)), until: call.clock.monotonicMs() + lastsMs(kms) - EARLY_MS };
    this.#held = held;
    return held;
  }

  forget(): void {
    this.#held?.token.destroy();
    this.#held = undefined;
  }
}

/**
 * A token of version 2, as lyft/python-kmsauth makes it: its times, encrypted by the authentication key with who it is
 * from and to as the encryption context.
 */
async function made(call: Call, auth: KmsAuth): Promise<ConfidantToken> {
  const now = call.clock.now().getTime();
  const times = { not_before: timeOf(now - SKEW_MS), not_after: timeOf(now + lastsMs(auth)) };
  const client = await clients(auth);
  const answer = await ask(
    call,
    { action: 'kms:Encrypt', object: `the key ${auth.keyId} of Confidant's authentication` },
    (options) =>
      client.encrypt(
        {
          KeyId: auth.keyId,
          Plaintext: Buffer.from(JSON.stringify(times)),
          EncryptionContext: { from: auth.from, to: auth.to, user_type: auth.userType },
        },
        options,
      ),
  );
  const token = SecretValue.of(Buffer.from(answer.CiphertextBlob ?? []).toString('base64'));
  return { username: `2/${auth.userType}/${auth.from}`, token };
}

function lastsMs({ lifetimeMinutes }: KmsAuth): number {
  return lifetimeMinutes * 60_000 - SKEW_MS;
}

/** `20260101T000000Z`. */
function timeOf(ms: number): string {
  return `${new Date(ms).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z`;
}

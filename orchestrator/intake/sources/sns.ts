import { verify, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { readAwsEvent } from '../aws-events.ts';
import { ignoreFrom } from '../aws-rotation-events.ts';
import { assertRecent, base64, isoTime, malformed, unauthenticated } from '../proof.ts';
import { readJson, word } from '../reading.ts';
import { windowOf } from '../settings.ts';
import type { HookSource } from '../source.ts';

const DAY_MS = 86_400_000;

const settings = z.strictObject({
  topics: z
    .array(
      z.string().regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]{1,260}$/, 'must be the ARN of a topic'),
    )
    .min(1)
    .max(100)
    .describe('Topics that are listened to; those of others are refused'),
  ignoreFrom,
  window: windowOf(DAY_MS).describe('SNS repeats a delivery for hours with the time it was first made'),
});

const body = z.object({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  MessageId: z.string().max(200),
  TopicArn: z.string().max(400),
  Message: z.string().max(300_000),
  Timestamp: z.string().max(64),
  SignatureVersion: z.enum(['1', '2']),
  Signature: z.string().max(2_048),
  SigningCertURL: z.string().max(1_024),
  Subject: z.string().nullish(),
  SubscribeURL: z.string().max(4_096).nullish(),
  Token: z.string().max(4_096).nullish(),
});

type Notification = z.output<typeof body>;

/**
 * Amazon SNS over HTTPS: RSA with SHA-1 (version 1) or SHA-256 (version 2) over `Key\nValue\n` of the signed fields in the
 * order of their names (docs.aws.amazon.com, "Verifying the signatures of Amazon SNS messages"). The certificate is fetched
 * from Amazon's own hosts only.
 */
export const sns: HookSource<z.output<typeof settings>> = {
  kind: 'sns',
  settings,

  async verify(request, { topics, window }, around) {
    const message = readOrRefuse(request.body);
    if (!isAmazons(message.SigningCertURL, '.pem')) throw unauthenticated('the certificate is not of Amazon');
    const certificate = await around.fetchText(message.SigningCertURL);
    const algorithm = message.SignatureVersion === '2' ? 'sha256' : 'sha1';
    let proven = false;
    try {
      const { publicKey, validFrom, validTo } = new X509Certificate(certificate);
      const inTime =
        Date.parse(validFrom) <= around.now.getTime() && around.now.getTime() <= Date.parse(validTo);
      proven = verify(algorithm, signedText(message), publicKey, base64(message.Signature)) && inTime;
    } catch {
      // No certificate, or a key that is not RSA.
    }
    if (!proven) throw unauthenticated('no signature fits');
    // Not before the signature: a stranger would learn by the time it takes which topics are listed.
    if (!topics.includes(message.TopicArn)) throw unauthenticated('the topic is not listed');
    assertRecent(isoTime(message.Timestamp), around.now, window);
  },

  read(request, { ignoreFrom: ignored }) {
    const message = readJson(request.body, body);
    const deliveryId = word(message.MessageId);
    if (message.Type === 'UnsubscribeConfirmation')
      return { kind: 'nothing', deliveryId, why: 'the topic was unsubscribed' };
    if (message.Type === 'SubscriptionConfirmation') {
      const confirm = message.SubscribeURL ?? '';
      if (!isAmazons(confirm, '/')) throw malformed('SubscribeURL is not of Amazon');
      return { kind: 'handshake', confirm };
    }
    return readAwsEvent(message.Message, deliveryId, { ignoreFrom: ignored });
  },
};

/** Before the sender is proven nobody learns which field is wrong. */
function readOrRefuse(bytes: Buffer): Notification {
  try {
    return readJson(bytes, body);
  } catch {
    throw unauthenticated('it is no SNS message');
  }
}

function signedText(message: Notification): Buffer {
  const fields =
    message.Type === 'Notification'
      ? (['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const)
      : (['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'] as const);
  const lines = fields.flatMap((name) => {
    const value = message[name];
    return value === undefined || value === null ? [] : [`${name}\n${value}\n`];
  });
  return Buffer.from(lines.join(''));
}

/** Host exactly `sns.<region>.amazonaws.com` or `.com.cn`, over TLS, without user, port or detour. */
function isAmazons(address: string, ending: string): boolean {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 'https:' || url.port !== '' || url.username !== '' || url.password !== '')
    return false;
  if (!/^sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?$/.test(url.hostname)) return false;
  // A certificate has no query: each would be another address to fetch it from.
  if (ending !== '/' && (url.search !== '' || url.hash !== '')) return false;
  return url.pathname.endsWith(ending);
}

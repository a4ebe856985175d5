import { z } from 'zod';
import { SecretValue } from '../../../core/secret.ts';
import { readReports } from '../plain-report.ts';
import { assertRecent, assertSigned, base64, malformed, unixTime } from '../proof.ts';
import { FIVE_MINUTES_MS, secretsFrom, windowOf } from '../settings.ts';
import type { HookRequest, HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, window: windowOf(FIVE_MINUTES_MS) });

/**
 * Standard Webhooks (standardwebhooks.com): `v1,<base64>` of HMAC-SHA-256 over `id.timestamp.body`; several signatures
 * while a secret is replaced. The payload is Rotor's plain report.
 */
export const standardWebhooks: HookSource<z.output<typeof settings>> = {
  kind: 'standardWebhooks',
  settings,

  async verify(request, { secretsFrom: references, window }, around) {
    const { 'webhook-id': id = '', 'webhook-timestamp': timestamp = '' } = request.headers;
    const shown = (request.headers['webhook-signature'] ?? '')
      .split(' ')
      .filter((each) => each.startsWith('v1,'))
      .map((each) => base64(each.slice(3)));
    const keys = (await around.secrets(references)).map(keyOf);
    assertSigned(keys, shown, Buffer.concat([Buffer.from(`${id}.${timestamp}.`), request.body]));
    assertRecent(unixTime(timestamp), around.now, window);
  },

  read: (request) => ({ kind: 'reports', deliveryId: idOf(request), reports: readReports(request.body) }),
};

/** `whsec_` and base64, as the specification writes secrets; anything else is taken as it is. */
function keyOf(secret: SecretValue): SecretValue {
  const text = secret.reveal();
  return text.startsWith('whsec_') ? SecretValue.of(Buffer.from(text.slice(6), 'base64')) : secret;
}

function idOf(request: HookRequest): string {
  const id = request.headers['webhook-id'] ?? '';
  if (!/^[\w.:-]{1,200}$/.test(id)) throw malformed('it has no webhook-id');
  return id;
}

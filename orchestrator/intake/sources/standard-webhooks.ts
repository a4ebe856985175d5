import { z } from 'zod';
import { standardKey } from '../../../core/standard-webhooks.ts';
import { readReports } from '../plain-report.ts';
import { assertRecent, assertSigned, base64, malformed, unixTime } from '../proof.ts';
import { FIVE_MINUTES_MS, mayName, secretsFrom, windowOf } from '../settings.ts';
import type { HookRequest, HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, mayName, window: windowOf(FIVE_MINUTES_MS) });

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
    const keys = (await around.secrets(references)).map(standardKey);
    assertSigned(keys, shown, Buffer.concat([Buffer.from(`${id}.${timestamp}.`), request.body]));
    assertRecent(unixTime(timestamp), around.now, window);
  },

  read: (request, { mayName: allowed }) => ({
    kind: 'reports',
    deliveryId: idOf(request),
    reports: readReports(request.body, allowed),
  }),
};

function idOf(request: HookRequest): string {
  const id = request.headers['webhook-id'] ?? '';
  if (!/^[\w.:-]{1,200}$/.test(id)) throw malformed('it has no webhook-id');
  return id;
}

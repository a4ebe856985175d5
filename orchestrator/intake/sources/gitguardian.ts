import { z } from 'zod';
import { SecretValue } from '../../../core/secret.ts';
import { assertRecent, assertSigned, hex, isoTime, unixTime } from '../proof.ts';
import { idOfBody, readJson, secretsIn, severityOf, word } from '../reading.ts';
import { FIVE_MINUTES_MS, secretsFrom, windowOf } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, window: windowOf(FIVE_MINUTES_MS) });

const body = z.object({
  action: z.string(),
  incident: z
    .object({
      id: z.union([z.int(), z.string()]),
      detector: z.object({ name: z.string().nullish() }).nullish(),
      severity: z.string().nullish(),
      validity: z.string().nullish(),
      secret_revoked: z.boolean().nullish(),
      // There where the workspace has chosen to send it.
      secret: z.string().max(65_536).nullish(),
      occurrences: z
        .array(z.object({ presence: z.string().nullish() }))
        .nullish()
        .catch(null),
    })
    .nullish(),
});

const LEAKS = /^incident_(triggered|reopened|regression)$|^new_occurrence$/;

/** GitGuardian's custom webhook: HMAC-SHA-256 over the raw body, the key is the header `timestamp` followed by the token. */
export const gitguardian: HookSource<z.output<typeof settings>> = {
  kind: 'gitguardian',
  settings,

  async verify(request, { secretsFrom: references, window }, around) {
    const timestamp = request.headers.timestamp ?? '';
    const tokens = await around.secrets(references);
    const keys = tokens.map((token) => SecretValue.of(`${timestamp}${token.reveal()}`));
    const shown = /^sha256=([0-9a-f]{64})$/i.exec(request.headers['gitguardian-signature'] ?? '')?.[1];
    assertSigned(keys, [hex(shown)], request.body);
    assertRecent(unixTime(timestamp.split('.')[0]) ?? isoTime(timestamp), around.now, window);
  },

  read(request) {
    const deliveryId = idOfBody(request.body);
    const { action, incident } = readJson(request.body, body);
    if (!incident || !LEAKS.test(action))
      return { kind: 'nothing', deliveryId, why: `action ${word(action)}` };
    const validity = { valid: 'active', invalid: 'inactive' }[incident.validity ?? ''] ?? 'unknown';
    return {
      kind: 'reports',
      deliveryId,
      reports: [
        {
          about: 'leak',
          type: word(incident.detector?.name),
          reference: `incident ${word(String(incident.id))}`,
          found: incident.secret ? secretsIn(incident.secret) : [],
          hints: {},
          severity: severityOf(incident.severity ?? undefined, 'high'),
          validity: validity as 'active' | 'inactive' | 'unknown',
          exposure: 'unknown',
        },
      ],
    };
  },
};

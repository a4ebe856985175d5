import { z } from 'zod';
import { assertSigned, hex } from '../proof.ts';
import { readJson, severityOf, word } from '../reading.ts';
import { operatorRules, ruled } from '../rules.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, rules: operatorRules });

const body = z.object({
  event: z.object({
    id: z.string(),
    event_type: z.string(),
    data: z
      .object({
        number: z.int().nullish(),
        service: z.object({ id: z.string().nullish(), summary: z.string().nullish() }).nullish(),
        priority: z.object({ summary: z.string().nullish() }).nullish(),
        urgency: z.string().nullish(),
      })
      .nullish(),
  }),
});

/**
 * PagerDuty's webhooks v3: `v1=<hex>` of HMAC-SHA-256 over the raw body, several while a secret is replaced. An incident
 * there names a service and no credential: the operator's rules say which policies a service stands for.
 */
export const pagerduty: HookSource<z.output<typeof settings>> = {
  kind: 'pagerduty',
  settings,

  async verify(request, { secretsFrom: references }, around) {
    const shown = (request.headers['x-pagerduty-signature'] ?? '')
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each.startsWith('v1='))
      .map((each) => hex(each.slice(3)));
    assertSigned(await around.secrets(references), shown, request.body);
  },

  read(request, { rules }) {
    const { event } = readJson(request.body, body);
    const deliveryId = word(event.id);
    if (!['incident.triggered', 'incident.priority_updated', 'incident.escalated'].includes(event.event_type))
      return { kind: 'nothing', deliveryId, why: `event ${word(event.event_type)}` };
    const data = event.data ?? {};
    const facts = {
      service: word(data.service?.summary, ''),
      serviceId: word(data.service?.id, ''),
      priority: word(data.priority?.summary, ''),
    };
    const severity = severityOf(data.priority?.summary ?? data.urgency ?? undefined, 'high');
    return ruled(rules, facts, deliveryId, {
      type: 'pagerduty incident',
      reference: `incident ${data.number ?? 'without a number'}`,
      severity,
    });
  },
};

import { z } from 'zod';
import { assertBearer } from '../proof.ts';
import { idOfBody, maybeWord, readJson, severityOf, word } from '../reading.ts';
import type { Report } from '../report.ts';
import { operatorRules, ruled } from '../rules.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, rules: operatorRules });

const labels = z.record(z.string(), z.string());
const body = z.object({
  version: z.literal('4'),
  status: z.string(),
  alerts: z
    .array(z.object({ status: z.string(), labels, fingerprint: z.string().nullish() }))
    .min(1)
    .max(1_000),
});

/** Prometheus Alertmanager's webhook receiver, version 4: no signature, a bearer token (`http_config.authorization`). */
export const alertmanager: HookSource<z.output<typeof settings>> = {
  kind: 'alertmanager',
  settings,

  async verify(request, { secretsFrom: references }, around) {
    assertBearer(request, await around.secrets(references));
  },

  read(request, { rules }) {
    const deliveryId = idOfBody(request.body);
    const { alerts } = readJson(request.body, body);
    const reports: Report[] = [];
    for (const alert of alerts.filter(({ status }) => status === 'firing')) {
      const label = (name: string) => maybeWord(alert.labels[name]);
      const message = ruled(rules, alert.labels, deliveryId, {
        type: word(alert.labels.alertname),
        reference: `alert ${word(alert.fingerprint)}`,
        severity: severityOf(alert.labels.severity, 'medium'),
        hints: { policy: label('rotor_policy'), secretName: label('rotor_secret') },
      });
      if (message.kind === 'reports') reports.push(...message.reports);
    }
    if (reports.length === 0)
      return { kind: 'nothing', deliveryId, why: 'no firing alert that a rule names' };
    return { kind: 'reports', deliveryId, reports };
  },
};

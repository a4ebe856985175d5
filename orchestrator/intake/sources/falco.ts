import { z } from 'zod';
import { assertBearer } from '../proof.ts';
import { idOfBody, maybeWord, readJson, severityOf, word } from '../reading.ts';
import { operatorRules, ruled } from '../rules.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, rules: operatorRules });

const body = z.object({
  uuid: z.string().nullish(),
  rule: z.string(),
  priority: z.string(),
  output_fields: z.record(z.string(), z.unknown()).nullish(),
});

/**
 * Falcosidekick's webhook output: no signature, a bearer token (`webhook.customheaders`). `output` is not read, since it
 * quotes command lines.
 */
export const falco: HookSource<z.output<typeof settings>> = {
  kind: 'falco',
  settings,

  async verify(request, { secretsFrom: references }, around) {
    assertBearer(request, await around.secrets(references));
  },

  read(request, { rules }) {
    const event = readJson(request.body, body);
    const field = (name: string) => maybeWord(event.output_fields?.[name]);
    const namespace = field('ka.target.namespace') ?? field('k8s.ns.name');
    const audited = field('ka.target.resource') === 'secrets' ? field('ka.target.name') : undefined;
    const facts = {
      rule: word(event.rule),
      priority: word(event.priority),
      namespace,
      pod: field('k8s.pod.name'),
    };
    return ruled(rules, facts, event.uuid ? word(event.uuid) : idOfBody(request.body), {
      type: word(event.rule),
      reference: `falco ${word(event.uuid, 'event')}`,
      severity: severityOf(event.priority, 'medium'),
      hints: { secretName: namespace && audited ? `${namespace}/${audited}` : undefined },
    });
  },
};

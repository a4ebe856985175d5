import { z } from 'zod';
import { assertSigned, hex, malformed } from '../proof.ts';
import { readJson, secretsIn, word } from '../reading.ts';
import type { GithubAlert } from '../report.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom });

/** After these the secret is known to somebody who should not have it. */
const LEAKS = ['created', 'reopened', 'publicly_leaked', 'validated', 'appeared_in_branch'];

const body = z.object({
  action: z.string(),
  alert: z.object({
    number: z.int().nonnegative(),
    secret_type: z.string().nullish(),
    // Only there where the payload is enriched on its way; GitHub leaves the secret out.
    secret: z.string().max(65_536).nullish(),
    validity: z.enum(['active', 'inactive', 'unknown']).nullish().catch('unknown'),
    publicly_leaked: z.boolean().nullish(),
    push_protection_bypassed: z.boolean().nullish(),
  }),
  repository: z.object({
    full_name: z.string(),
    private: z.boolean().nullish(),
    visibility: z.string().nullish(),
  }),
});

/** GitHub's webhook `secret_scanning_alert`: HMAC-SHA-256 over the raw body, ids of deliveries against repetition. */
export const githubAlert: HookSource<z.output<typeof settings>> = {
  kind: 'githubAlert',
  settings,

  async verify(request, { secretsFrom: references }, around) {
    const shown = /^sha256=([0-9a-f]{64})$/i.exec(request.headers['x-hub-signature-256'] ?? '')?.[1];
    assertSigned(await around.secrets(references), [hex(shown)], request.body);
  },

  read(request) {
    const deliveryId = request.headers['x-github-delivery'] ?? '';
    if (!/^[0-9a-f-]{8,64}$/i.test(deliveryId)) throw malformed('it has no X-GitHub-Delivery');
    const event = request.headers['x-github-event'];
    if (event !== 'secret_scanning_alert')
      return { kind: 'nothing', deliveryId, why: `event ${word(event, 'without a name')}` };
    const { action, alert, repository } = readJson(request.body, body);
    if (!LEAKS.includes(action)) return { kind: 'nothing', deliveryId, why: `action ${word(action)}` };
    const open = alert.publicly_leaked === true || action === 'publicly_leaked';
    const visible = open || repository.private === false || repository.visibility === 'public';
    return {
      kind: 'reports',
      deliveryId,
      reports: [
        {
          about: 'leak',
          type: word(alert.secret_type),
          reference: `${word(repository.full_name)} alert ${alert.number}`,
          found: alert.secret ? secretsIn(alert.secret) : [],
          hints: {},
          alert: alertOf(repository.full_name, alert.number),
          severity: alert.validity === 'active' && visible ? 'critical' : 'high',
          validity: alert.validity ?? 'unknown',
          exposure: visible ? 'public' : 'internal',
        },
      ],
    };
  },
};

/** Owner and repository in the characters that GitHub has for them; undefined for anything else. */
function alertOf(fullName: string, number: number): GithubAlert | undefined {
  const [, owner, repo] = /^([A-Za-z0-9_-]{1,100})\/([A-Za-z0-9._-]{1,100})$/.exec(fullName) ?? [];
  if (owner === undefined || repo === undefined || /^\.+$/.test(repo)) return undefined;
  return { owner, repo, number };
}

import { z } from 'zod';
import { RotorError } from '../../../core/errors.ts';
import type { SecretValue } from '../../../core/secret.ts';
import { alertName, fetchAlert } from '../github-api.ts';
import { assertSigned, hex, malformed } from '../proof.ts';
import { readJson, secretsIn, word } from '../reading.ts';
import type { Exposure, GithubAlert, Report, Validity } from '../report.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const lookup = z
  .strictObject({
    tokenFrom: z
      .strictObject({ file: z.string().min(1) })
      .describe('Token with the permission "Secret scanning alerts: read"'),
    apiUrl: z
      .url({ protocol: /^https?$/ })
      .refine((url) => !/[?#]|\/\/[^/]*@/.test(url), 'must be an address without user, query and fragment')
      .default('https://api.github.com')
      .describe('Of GitHub Enterprise Server: https://<host>/api/v3'),
  })
  .describe('Asks the API for the secret, which the alert itself is sent without');

const settings = z.strictObject({ secretsFrom, lookup: lookup.optional() });

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

  read(request, { lookup: asks }) {
    const deliveryId = request.headers['x-github-delivery'] ?? '';
    if (!/^[0-9a-f-]{8,64}$/i.test(deliveryId)) throw malformed('it has no X-GitHub-Delivery');
    const event = request.headers['x-github-event'];
    if (event !== 'secret_scanning_alert')
      return { kind: 'nothing', deliveryId, why: `event ${word(event, 'without a name')}` };
    const { action, alert, repository } = readJson(request.body, body);
    if (!LEAKS.includes(action)) return { kind: 'nothing', deliveryId, why: `action ${word(action)}` };
    const open = alert.publicly_leaked === true || action === 'publicly_leaked';
    const visible = open || repository.private === false || repository.visibility === 'public';
    const found = alert.secret ? secretsIn(alert.secret) : [];
    const wanted = asks && found.length === 0 ? wantedOf(repository.full_name, alert.number) : undefined;
    return {
      kind: 'reports',
      deliveryId,
      reports: [
        {
          about: 'leak',
          type: word(alert.secret_type),
          reference: `${word(repository.full_name)} alert ${alert.number}`,
          found,
          hints: {},
          alert: alertOf(repository.full_name, alert.number),
          ...riskOf(alert.validity, visible ? 'public' : 'internal'),
        },
      ],
      ...(wanted ? { wanted } : {}),
    };
  },

  async inquire(wanted, report, { lookup: asks }, { deadline, now, secrets }) {
    if (!asks)
      throw new RotorError('config.invalid', {
        what: 'the source has no `lookup` any more, so its alerts come without their secrets',
      });
    const { tokenFrom, apiUrl } = asks;
    const [token] = await secrets([tokenFrom]);
    const alert = await fetchAlert(
      deadline,
      { apiUrl, token: token as SecretValue, now },
      alertName.parse(wanted),
    );
    return {
      ...report,
      type: word(alert.secret_type, report.type),
      found: secretsIn(alert.secret),
      ...riskOf(alert.validity, alert.publicly_leaked ? 'public' : report.exposure),
    };
  },
};

function riskOf(
  validity: Validity | null | undefined,
  exposure: Exposure,
): Pick<Report, 'severity' | 'validity' | 'exposure'> {
  const critical = validity === 'active' && exposure === 'public';
  return { severity: critical ? 'critical' : 'high', validity: validity ?? 'unknown', exposure };
}

function wantedOf(fullName: string, number: number): GithubAlert {
  const alert = alertOf(fullName, number);
  if (!alert) throw malformed('it names no alert of a repository');
  return alert;
}

/** Owner and repository in the characters that GitHub has for them; undefined for anything else. */
function alertOf(fullName: string, number: number): GithubAlert | undefined {
  const [owner = '', repo = '', ...more] = fullName.split('/');
  const named = alertName.safeParse({ owner, repo, number });
  return named.success && more.length === 0 ? named.data : undefined;
}

import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import { githubHeaders, githubOwner, githubRepository } from '../../core/github.ts';
import { type HttpAnswer, httpRequest } from '../../core/http.ts';
import { jsonIn } from '../../core/json.ts';
import { rateLimitMs } from '../../core/rate-limit.ts';
import type { Deadline } from '../../core/retry.ts';
import type { SecretValue } from '../../core/secret.ts';

export const alertName = z.strictObject({
  owner: githubOwner,
  repo: githubRepository,
  number: z.int().min(1).max(2_147_483_647),
});
export type AlertName = z.output<typeof alertName>;

const alert = z.object({
  secret: z.string().min(1).max(65_536),
  secret_type: z.string().nullish(),
  validity: z.enum(['active', 'inactive', 'unknown']).nullish().catch('unknown'),
  publicly_leaked: z.boolean().nullish().catch(null),
});
export type Alert = z.output<typeof alert>;

const MAX_BYTES = 1024 * 1024;

/**
 * An alert of secret scanning with its secret: `GET /repos/{owner}/{repo}/secret-scanning/alerts/{n}` of GitHub's REST API
 * (docs.github.com, "REST API endpoints for secret scanning"; rate limits: "Rate limits for the REST API"). The token needs
 * the permission "Secret scanning alerts: read". A repository that was renamed is followed once, on the same host.
 * @throws RotorError `provider.throttled` with the time to wait, `provider.refused-admin`, `provider.permission-denied`,
 *   `provider.unreachable`, `provider.unsupported` when the answer holds no secret
 */
export async function fetchAlert(
  deadline: Deadline,
  { apiUrl, token, now }: { readonly apiUrl: string; readonly token: SecretValue; readonly now: Date },
  { owner, repo, number }: AlertName,
): Promise<Alert> {
  const base = apiUrl.replace(/\/+$/, '');
  const what = `alert ${number} of ${owner}/${repo}`;
  const get = (url: string) =>
    httpRequest(deadline, { url, headers: githubHeaders(token), maxBytes: MAX_BYTES });
  let answer = await get(`${base}/repos/${owner}/${repo}/secret-scanning/alerts/${number}?hide_secret=false`);
  const moved = [301, 302, 307, 308].includes(answer.status) ? answer.headers.get('location') : undefined;
  if (moved && isBelow(base, moved)) answer = await get(moved);
  if (answer.status !== 200) throw refusal(answer, what, now);
  const read = alert.safeParse(jsonIn(answer.body));
  if (read.success) return read.data;
  throw new RotorError('provider.unsupported', {
    what: `GitHub answers without the secret of ${what}`,
    hint: 'Look at the alert on GitHub; report its value by `rotor respond --secret-stdin`.',
  });
}

/** Whether an address is on the configured host and below the configured path: nothing else is ever asked. */
export function isBelow(base: string, address: string): boolean {
  if (!URL.canParse(address)) return false;
  const [there, here] = [new URL(address), new URL(base)];
  if (there.origin !== here.origin || there.username !== '' || there.password !== '') return false;
  return there.pathname.startsWith(here.pathname.endsWith('/') ? here.pathname : `${here.pathname}/`);
}

function refusal(answer: HttpAnswer, what: string, now: Date): RotorError {
  const { status } = answer;
  const waitMs = rateLimitMs(answer, now);
  if (waitMs !== undefined)
    return new RotorError('provider.throttled', {
      what: `GitHub's rate limit is reached (${status}), so ${what} is asked for later`,
      retryAfterMs: waitMs,
    });
  if (status === 401)
    return new RotorError('provider.refused-admin', {
      what: `GitHub refuses the token that ${what} is asked for with`,
      hint: 'Put a valid token into the file of `lookup.tokenFrom`.',
    });
  // GitHub says 404 to who may not see something.
  if (status === 403 || status === 404)
    return new RotorError('provider.permission-denied', {
      what: `GitHub shows no ${what} to this token (${status})`,
      hint: 'Give the token of `lookup.tokenFrom` the permission "Secret scanning alerts: read" for this repository.',
    });
  return new RotorError('provider.unreachable', { what: `GitHub answers ${status} when asked for ${what}` });
}

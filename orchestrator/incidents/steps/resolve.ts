import { RotorError } from '../../../core/errors.ts';
import { githubHeaders } from '../../../core/github.ts';
import { httpRequest } from '../../../core/http.ts';
import { rateLimitMs } from '../../../core/rate-limit.ts';
import { Deadline } from '../../../core/retry.ts';
import type { SecretValue } from '../../../core/secret.ts';
import { secretIn } from '../../../core/secret-file.ts';
import { urlPart } from '../../../core/url-path.ts';
import type { Ledger } from '../../../ledger/database.ts';
import { reportedAlerts } from '../../../ledger/incidents.ts';
import type { GithubAlert } from '../../intake/report.ts';
import type { EffectKind } from '../outcome.ts';
import { type Resolve, resolve } from '../runbook-schema.ts';

const LIMIT_MS = 30_000;

/**
 * Resolves the alerts of GitHub's secret scanning that reported the credential
 * (docs.github.com/rest/secret-scanning, "Update a secret scanning alert"). Resolving twice is no harm. The address of the
 * API is the runbook's alone, whatever a report says.
 */
export const resolveStep: EffectKind = {
  kind: 'resolve',
  limitMs: () => LIMIT_MS,

  async perform({ orchestrator: { ledger, clock }, target: { incidentId, policy }, step }) {
    const { github } = resolve.parse(step.spec);
    const alerts = await alertsOf(ledger, incidentId, policy);
    const resolved = resolvedIn(step.result);
    if (alerts.length === 0)
      return { done: { resolved: [], note: 'no report of it was an alert of GitHub' } };
    const token = await secretIn(github.tokenFrom.file, 'the secret of a resolve step');
    const deadline = Deadline.after(LIMIT_MS, clock);
    const refused: string[] = [];
    for (const alert of alerts) {
      const name = nameOf(alert);
      if (includes(resolved, name)) continue;
      const comment = `Refused by its provider in a real attempt. Rotor, incident ${incidentId}`;
      const problem = await resolveAlert(deadline, github, token, alert, comment, name, clock.now());
      if (problem === undefined) resolved.push(name);
      else refused.push(problem);
    }
    return refused.length > 0 ? { failed: refused.join('; ') } : { done: { resolved } };
  },

  async missed(ledger, { incidentId, policy }, outcome) {
    // What was refused is told as that.
    if ('failed' in outcome) return false;
    const resolved = resolvedIn(outcome.done);
    const alerts = await alertsOf(ledger, incidentId, policy);
    return alerts.some((alert) => !includes(resolved, nameOf(alert)));
  },
};

/** Those that an earlier turn resolved, before another alert came. */
function resolvedIn(result: Readonly<Record<string, unknown>> | undefined): string[] {
  return Array.isArray(result?.resolved) ? result.resolved.map(String) : [];
}

/** GitHub takes names in any case. */
function includes(names: readonly string[], name: string): boolean {
  return names.some((each) => each.toLowerCase() === name.toLowerCase());
}

function nameOf({ owner, repo, number }: GithubAlert): string {
  return `${owner}/${repo} alert ${number}`;
}

/** Each once, however often it was reported. */
async function alertsOf(ledger: Ledger, incidentId: string, policy: string): Promise<readonly GithubAlert[]> {
  const found = await reportedAlerts<GithubAlert>(ledger, incidentId, policy);
  return [...new Map(found.map((alert) => [nameOf(alert).toLowerCase(), alert])).values()];
}

/** @returns why not, in words; undefined when it is resolved */
async function resolveAlert(
  deadline: Deadline,
  { apiUrl, resolution }: Resolve['github'],
  token: SecretValue,
  { owner, repo, number }: GithubAlert,
  comment: string,
  name: string,
  now: Date,
): Promise<string | undefined> {
  const path = `/repos/${urlPart(owner)}/${urlPart(repo)}/secret-scanning/alerts/${number}`;
  const answer = await httpRequest(deadline, {
    url: `${apiUrl.replace(/\/$/, '')}${path}`,
    method: 'PATCH',
    headers: { ...githubHeaders(token), 'content-type': 'application/json' },
    body: JSON.stringify({ state: 'resolved', resolution, resolution_comment: comment }),
    maxBytes: 1024 * 1024,
  });
  const { status } = answer;
  if (status >= 200 && status < 300) return undefined;
  const waitMs = rateLimitMs(answer, now);
  if (status >= 500 || waitMs !== undefined) {
    throw new RotorError('provider.unreachable', {
      what: `GitHub answers ${status} to resolving ${name}`,
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
  }
  return WORDS[status]?.(name) ?? `GitHub refuses to resolve ${name} with ${status}`;
}

const WORDS: Readonly<Record<number, (name: string) => string>> = {
  401: (name) => `GitHub does not accept the token (401); ${name} stays open`,
  403: (name) => `the token may not resolve ${name} (403): it needs write access to secret scanning alerts`,
  404: (name) =>
    `GitHub knows no ${name} (404): it is gone, secret scanning is off, or the token may not see the repository`,
  422: (name) => `GitHub does not take the resolution for ${name} (422)`,
};

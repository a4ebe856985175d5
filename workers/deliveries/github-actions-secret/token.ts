import { createPrivateKey, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { z } from 'zod';
import type { Call } from '../../../core/call.ts';
import { RotorError } from '../../../core/errors.ts';
import { githubHeaders } from '../../../core/github.ts';
import { httpRequest } from '../../../core/http.ts';
import { jsonIn } from '../../../core/json.ts';
import { SecretValue } from '../../../core/secret.ts';
import { secretIn } from '../../../core/secret-file.ts';
import { refusal } from '../refusal.ts';
import type { GithubActionsSecretSpec } from './spec.ts';

export interface GithubToken {
  readonly secret: SecretValue;
  /** What an installation may do: `secrets: write`. Not told for tokens of people. */
  readonly permissions?: Readonly<Record<string, string>>;
}

const installationToken = z.object({
  token: z.string().min(1),
  expires_at: z.string(),
  permissions: z.record(z.string(), z.string()).default({}),
});

/** Of an hour: before that, so that no call outlives it. */
const EARLIER_MS = 300_000;
/** When the answer doesn't say when it was given. */
const UNSAID_MS = 1_800_000;
/** "The time must be no more than 10 minutes into the future"; the clock is set back for drift, as GitHub advises. */
const JWT_S = { back: 60, ahead: 540 } as const;

/** Tokens of installations, kept until shortly before they end, for all sessions of a worker. */
export class GithubTokens {
  readonly #kept = new Map<string, { readonly token: GithubToken; readonly untilMs: number }>();

  /** @throws RotorError `reference.unresolved`, `delivery.*` */
  async of(call: Call, target: string, spec: GithubActionsSecretSpec): Promise<GithubToken> {
    if (spec.tokenFrom) return { secret: await secretIn(spec.tokenFrom.file, target) };
    const kept = this.#kept.get(keyOf(spec));
    if (kept && call.clock.monotonicMs() < kept.untilMs) return kept.token;
    const made = await install(call, target, spec);
    this.#kept.set(keyOf(spec), made);
    return made.token;
  }

  /** One that was refused is never used again. */
  forget(spec: GithubActionsSecretSpec): void {
    this.#kept.delete(keyOf(spec));
  }
}

function keyOf({ apiUrl, app }: GithubActionsSecretSpec): string {
  return JSON.stringify([apiUrl, app]);
}

/** docs.github.com, "Generating an installation access token for a GitHub App". */
async function install(call: Call, target: string, { apiUrl, app }: GithubActionsSecretSpec) {
  if (!app) throw new RotorError('internal.bug', { what: `${target}: it has neither a token nor an app` });
  const key = keyIn(await secretIn(app.privateKeyFrom.file, target), target, app.privateKeyFrom.file);
  const now = Math.floor(call.clock.now().getTime() / 1_000);
  const jwt = await new SignJWT()
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
    .setIssuer(String(app.appId))
    .setIssuedAt(now - JWT_S.back)
    .setExpirationTime(now + JWT_S.ahead)
    .sign(key);
  const answer = await httpRequest(call.deadline, {
    url: `${apiUrl.replace(/\/+$/, '')}/app/installations/${app.installationId}/access_tokens`,
    method: 'POST',
    headers: githubHeaders(SecretValue.of(jwt)),
  });
  const doing = `make a token for installation ${app.installationId} of app ${app.appId}`;
  if (answer.status !== 201) throw refusal(answer, { target, doing, now: call.clock.now() });
  const read = installationToken.safeParse(jsonIn(answer.body));
  if (!read.success)
    throw new RotorError('delivery.failed', {
      what: `${target}: answered something else when asked to ${doing}`,
    });
  const { token, expires_at: end, permissions } = read.data;
  const livesMs = Date.parse(end) - Date.parse(answer.headers.get('date') ?? '');
  const usableMs = Number.isFinite(livesMs) ? livesMs - EARLIER_MS : UNSAID_MS;
  return {
    token: { secret: SecretValue.of(token), permissions },
    untilMs: call.clock.monotonicMs() + usableMs,
  };
}

/** GitHub hands keys out as PKCS#1; PKCS#8 is taken as well. */
function keyIn(pem: SecretValue, target: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem.reveal());
  } catch {
    throw new RotorError('reference.unresolved', { what: `${target}: ${file} holds no private key in PEM` });
  }
}

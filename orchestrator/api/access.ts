import { createMiddleware } from 'hono/factory';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Ledger } from '../../ledger/database.ts';
import { findToken, ROLES, type Role, type Token } from '../../ledger/tokens.ts';

export interface ApiEnv {
  Variables: { token: Token };
  Bindings: { incoming?: { socket?: { remoteAddress?: string } } };
}

export interface Limits {
  /** Requests a second for each token. */
  readonly perToken: number;
  /** Requests without a valid token a minute for each address. */
  readonly strangers: number;
}

export const LIMITS: Limits = { perToken: 200, strangers: 30 };

/** Lets in who shows a valid token of at least `role`; strangers learn nothing but 401, and not often. */
export function access(
  ledger: Ledger,
  limits: Limits,
): (role: Role) => ReturnType<typeof createMiddleware<ApiEnv>> {
  const tokens = new RateLimiterMemory({ points: limits.perToken, duration: 1 });
  const strangers = new RateLimiterMemory({ points: limits.strangers, duration: 60 });
  return (role) =>
    createMiddleware<ApiEnv>(async (context, next) => {
      const address = context.env?.incoming?.socket?.remoteAddress ?? 'unknown';
      const shown = /^Bearer (\S+)$/.exec(context.req.header('authorization') ?? '')?.[1];
      const token = shown === undefined ? undefined : await findToken(ledger, SecretValue.of(shown));
      if (!token) {
        await take(strangers, address);
        throw new RotorError('api.unauthorized', { what: 'a valid token is required' });
      }
      await take(tokens, token.name);
      if (ROLES.indexOf(token.role) < ROLES.indexOf(role)) {
        throw new RotorError('api.forbidden', {
          what: `this needs the role ${role}; token ${token.name} has the role ${token.role}`,
        });
      }
      context.set('token', token);
      await next();
    });
}

async function take(limiter: RateLimiterMemory, key: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (thrown) {
    if (!(thrown instanceof RateLimiterRes)) throw thrown;
    throw new RotorError('api.rate-limited', {
      what: 'too many requests',
      retryAfterMs: thrown.msBeforeNext,
    });
  }
}

import { createRoute, OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { RotorError } from '../../core/errors.ts';
import { withinTrace } from '../../core/telemetry.ts';
import { ledgerNow } from '../../ledger/rotations.ts';
import type { Role } from '../../ledger/tokens.ts';
import { type Hooks, MAX_BYTES } from '../intake/receive.ts';
import type { Orchestrator } from '../operations/orchestrator.ts';
import { type ApiEnv, access, LIMITS, type Limits } from './access.ts';
import { answerFor } from './errors.ts';
import { healthRoutes } from './health.ts';
import { hookLimit, mountHooks } from './hooks.ts';
import { routes } from './routes.ts';

export interface ApiOptions {
  readonly metrics: () => Promise<string>;
  readonly limits?: Limits;
  /** The door for reports of leaks; without it there is none. */
  readonly hooks?: Hooks;
}

export interface ApiRoute {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: { readonly type: 'application/json' | 'application/yaml'; readonly schema: z.ZodType };
  handle(input: RouteInput): Promise<unknown>;
}

export interface RouteInput {
  readonly orchestrator: Orchestrator;
  /** `token/<name>`, for the audit trail. */
  readonly actor: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** Parsed JSON, or YAML as text. */
  readonly body: unknown;
  readonly context: Context<ApiEnv>;
}

const failure = z.object({ code: z.string(), what: z.string(), hint: z.string() }).openapi('Error');

/** The HTTP API. No endpoint returns a secret, but the one that makes a token, once. */
export function createApi(orchestrator: Orchestrator, options: ApiOptions): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalid(result.error.issues);
    },
  });
  app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } }));
  app.use(async (context, next) => {
    const maxSize = (await hookLimit(options.hooks, context.req)) ?? MAX_BYTES;
    const mebibytes = maxSize / 1024 / 1024;
    const what = `the body is larger than ${mebibytes} MiB`;
    const onError = () => context.json({ code: 'api.invalid', what, hint: 'Send less at once.' }, 413);
    return bodyLimit({ maxSize, onError })(context, next);
  });
  app.use((context, next) => withinTrace(context.req.header('traceparent'), next));
  app.onError((thrown, context) => {
    const { error, status } = answerFor(thrown);
    if (status >= 500) orchestrator.log.error({ err: error, path: context.req.path }, 'a request failed');
    if (error.retryAfterMs !== undefined)
      context.header('Retry-After', String(Math.ceil(error.retryAfterMs / 1_000)));
    return context.json(error.toJSON(), status);
  });
  mountHooks(app, options.hooks);
  app.notFound((context) =>
    context.json(
      { code: 'ledger.not-found', what: 'there is no such path', hint: 'See /openapi.json.' },
      404,
    ),
  );

  app.route('/', healthRoutes({ ready: () => ledgerNow(orchestrator.ledger), metrics: options.metrics }));

  const allow = access(orchestrator.ledger, options.limits ?? LIMITS);
  for (const route of routes) mount(app, route, allow(route.role), orchestrator);
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'Rotor', version: 'v1', description: 'Credential rotation: policies, rotations, audit.' },
  });
  return app;
}

function mount(
  app: OpenAPIHono<ApiEnv>,
  route: ApiRoute,
  guard: ReturnType<ReturnType<typeof access>>,
  orchestrator: Orchestrator,
): void {
  const { method, path, summary, role } = route;
  const request = {
    ...(route.params ? { params: route.params } : {}),
    ...(route.query ? { query: route.query } : {}),
    ...(route.body
      ? { body: { required: true, content: { [route.body.type]: { schema: route.body.schema } } } }
      : {}),
  };
  const config = {
    method,
    path,
    summary,
    description: `Role: ${role}.`,
    security: [{ token: [] }],
    middleware: [guard] as const,
    request,
    responses: {
      200: { description: 'Done', content: { 'application/json': { schema: z.unknown() } } },
      default: { description: 'Refused or failed', content: { 'application/json': { schema: failure } } },
    },
  } as unknown as RouteConfig;
  const handler = async (context: Context<ApiEnv>) => {
    const result = await route.handle({
      orchestrator,
      actor: `token/${context.get('token').name}`,
      params: context.req.param() as Record<string, string>,
      query: context.req.query(),
      body: await bodyOf(context, route),
      context,
    });
    return result instanceof Response ? result : context.json(result as object);
  };
  app.openapi(createRoute(config as never), handler as never);
}

async function bodyOf(context: Context<ApiEnv>, route: ApiRoute): Promise<unknown> {
  if (!route.body) return undefined;
  if (route.body.type === 'application/yaml') return context.req.text();
  const parsed = route.body.schema.safeParse(await context.req.json().catch(() => undefined));
  if (!parsed.success) throw invalid(parsed.error.issues);
  return parsed.data;
}

/** Names the fields, never their values. */
function invalid(issues: readonly { readonly path: readonly PropertyKey[] }[]): RotorError {
  const fields = [...new Set(issues.map(({ path }) => path.join('.') || 'the body'))].join(', ');
  return new RotorError('api.invalid', { what: `missing or not valid: ${fields}` });
}

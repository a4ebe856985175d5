import { z } from '@hono/zod-openapi';
import { parseDuration } from '../../core/duration.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { appendAudit, sealedEvents } from '../../ledger/audit.ts';
import { getPolicy, setPaused } from '../../ledger/policies.ts';
import { listResources } from '../../ledger/resources.ts';
import { listRotations, type RotationState } from '../../ledger/rotations.ts';
import { createToken, listTokens, ROLES, revokeToken } from '../../ledger/tokens.ts';
import { findVersionsByFingerprint } from '../../ledger/versions.ts';
import { parseManifests } from '../manifests/parse.ts';
import { applyManifests } from '../operations/apply.ts';
import { sealAndAnchor, verifyTrail } from '../operations/audit.ts';
import { describePolicy, describeRotation, listPolicyViews, summaryOf } from '../operations/describe.ts';
import { planRotation } from '../operations/plan.ts';
import { cancelRotation, resumeStopped, rotateNow } from '../operations/rotate.ts';
import type { ApiRoute, RouteInput } from './api.ts';
import { streamChanges } from './events.ts';
import { incidentRoutes } from './incident-routes.ts';

const policyParams = z.object({ namespace: z.string().max(63), name: z.string().max(253) });
const rotationParams = z.object({ id: z.uuid() });
/** What a new API token is asked for with. */
export const tokenBody = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/),
  role: z.enum(ROLES),
  owner: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._@-]{0,126}$/)
    .optional(),
  expiresIn: z
    .string()
    .refine((text) => parseDuration(text) !== undefined)
    .optional(),
});

const policyOf = ({ params }: RouteInput) => `${params.namespace}/${params.name}`;
const idOf = ({ params }: RouteInput) => params.id as string;

/** Every endpoint with the role that it needs. */
export const routes: readonly ApiRoute[] = [
  {
    method: 'post',
    path: '/v1/apply',
    role: 'admin',
    summary: 'Apply manifests (YAML); with dryRun=true tell what would change',
    query: z.object({ dryRun: z.enum(['true', 'false']).optional() }),
    body: { type: 'application/yaml', schema: z.string() },
    handle: async ({ orchestrator, body, actor, query }) => {
      const manifests = parseManifests(String(body), 'body', orchestrator.registries);
      return { applied: await applyManifests(orchestrator, manifests, actor, query.dryRun === 'true') };
    },
  },
  {
    method: 'get',
    path: '/v1/policies',
    role: 'viewer',
    summary: 'List policies',
    handle: async ({ orchestrator }) => ({ policies: await listPolicyViews(orchestrator) }),
  },
  {
    method: 'get',
    path: '/v1/policies/{namespace}/{name}',
    role: 'viewer',
    summary: 'Describe a policy: schedule, versions, last rotations',
    params: policyParams,
    handle: (input) => describePolicy(input.orchestrator, policyOf(input)),
  },
  {
    method: 'post',
    path: '/v1/policies/{namespace}/{name}/plan',
    role: 'operator',
    summary: 'What a rotation would do now, and what would stop it; changes nothing',
    params: policyParams,
    handle: (input) => planRotation(input.orchestrator, policyOf(input)),
  },
  {
    method: 'post',
    path: '/v1/policies/{namespace}/{name}/rotate',
    role: 'operator',
    summary: 'Start a rotation now',
    params: policyParams,
    handle: async (input) => ({
      rotation: await rotateNow(input.orchestrator, policyOf(input), input.actor),
    }),
  },
  {
    method: 'post',
    path: '/v1/policies/{namespace}/{name}/pause',
    role: 'operator',
    summary: 'No scheduled rotations of this policy until it is resumed',
    params: policyParams,
    handle: (input) => pause(input, true, policyOf(input)),
  },
  {
    method: 'post',
    path: '/v1/policies/{namespace}/{name}/resume',
    role: 'operator',
    summary: 'Scheduled rotations again',
    params: policyParams,
    handle: (input) => pause(input, false, policyOf(input)),
  },
  {
    method: 'post',
    path: '/v1/pause',
    role: 'operator',
    summary: 'No scheduled rotations at all: the emergency stop',
    handle: (input) => pause(input, true),
  },
  {
    method: 'post',
    path: '/v1/resume',
    role: 'operator',
    summary: 'Scheduled rotations of all policies again',
    handle: (input) => pause(input, false),
  },
  {
    method: 'get',
    path: '/v1/rotations',
    role: 'viewer',
    summary: 'List rotations, newest first',
    query: z.object({
      policy: z.string().optional(),
      state: z.enum(['queued', 'running', 'waiting', 'done', 'rolled-back', 'needs-human']).optional(),
    }),
    handle: async ({ orchestrator, query }) => {
      const state = query.state as RotationState | undefined;
      const rotations = await listRotations(orchestrator.ledger, { policy: query.policy, state });
      return { rotations: rotations.map(summaryOf) };
    },
  },
  {
    method: 'get',
    path: '/v1/rotations/{id}',
    role: 'viewer',
    summary: 'Describe a rotation: steps, facts, proof',
    params: rotationParams,
    handle: (input) => describeRotation(input.orchestrator, idOf(input)),
  },
  {
    method: 'post',
    path: '/v1/rotations/{id}/cancel',
    role: 'operator',
    summary: 'Roll back, unless the old credential is being revoked already',
    params: rotationParams,
    handle: async (input) => {
      await cancelRotation(input.orchestrator, idOf(input), input.actor);
      return {};
    },
  },
  {
    method: 'post',
    path: '/v1/rotations/{id}/resume',
    role: 'operator',
    summary: 'Let a rotation that needed a human go on',
    params: rotationParams,
    handle: async (input) => {
      await resumeStopped(input.orchestrator, idOf(input), input.actor);
      return {};
    },
  },
  ...incidentRoutes,
  {
    method: 'get',
    path: '/v1/providers',
    role: 'viewer',
    summary: 'List providers',
    handle: async ({ orchestrator }) => ({ providers: await listResources(orchestrator.ledger, 'Provider') }),
  },
  {
    method: 'get',
    path: '/v1/stores',
    role: 'viewer',
    summary: 'List stores',
    handle: async ({ orchestrator }) => ({ stores: await listResources(orchestrator.ledger, 'Store') }),
  },
  {
    method: 'get',
    path: '/v1/tokens',
    role: 'admin',
    summary: 'List API tokens, without their values',
    handle: async ({ orchestrator }) => ({ tokens: await listTokens(orchestrator.ledger) }),
  },
  {
    method: 'post',
    path: '/v1/tokens',
    role: 'admin',
    summary: 'Make an API token; its value is in this answer and never again',
    body: { type: 'application/json', schema: tokenBody },
    handle: async ({ orchestrator, body, actor }) => {
      const { name, role, owner, expiresIn } = body as z.output<typeof tokenBody>;
      const ms = expiresIn === undefined ? undefined : parseDuration(expiresIn);
      const expiresAt = ms === undefined ? undefined : new Date(orchestrator.clock.now().getTime() + ms);
      const token = await createToken(orchestrator.ledger, name, role, expiresAt, owner);
      await appendAudit(orchestrator.ledger, {
        actor,
        action: 'token.created',
        subject: `token/${name}`,
        detail: { role, ...(owner === undefined ? {} : { owner }) },
      });
      return { name, role, token: token.reveal() };
    },
  },
  {
    method: 'delete',
    path: '/v1/tokens/{name}',
    role: 'admin',
    summary: 'Revoke an API token',
    params: z.object({ name: z.string() }),
    handle: async ({ orchestrator, params, actor }) => {
      const name = params.name as string;
      if (!(await revokeToken(orchestrator.ledger, name))) {
        throw new RotorError('ledger.not-found', { what: `there is no token ${name}` });
      }
      await appendAudit(orchestrator.ledger, { actor, action: 'token.revoked', subject: `token/${name}` });
      return {};
    },
  },
  {
    method: 'post',
    path: '/v1/fingerprint',
    role: 'responder',
    summary: 'Which credential versions ever had this secret; it is fingerprinted and forgotten',
    body: { type: 'application/json', schema: z.object({ secret: z.string().min(1).max(65_536) }) },
    handle: async ({ orchestrator, body, actor }) => {
      const secret = SecretValue.of((body as { secret: string }).secret);
      const fingerprint = secret.fingerprint(orchestrator.fingerprintKey);
      const versions = await findVersionsByFingerprint(orchestrator.ledger, fingerprint);
      await appendAudit(orchestrator.ledger, {
        actor,
        action: 'fingerprint.looked-up',
        subject: `matches/${versions.length}`,
      });
      return { fingerprint: fingerprint.toString('hex'), versions };
    },
  },
  {
    method: 'get',
    path: '/v1/audit/verify',
    role: 'viewer',
    summary: 'Walk the audit chain; names the first row that was changed, removed or put elsewhere',
    handle: ({ orchestrator }) => verifyTrail(orchestrator.ledger, orchestrator.anchorFile),
  },
  {
    method: 'get',
    path: '/v1/audit/export',
    role: 'viewer',
    summary: 'The audit trail as JSON lines',
    handle: async ({ orchestrator, context }) => {
      await sealAndAnchor(orchestrator.ledger, orchestrator.anchorFile);
      const lines = ReadableStream.from(auditLines(orchestrator)).pipeThrough(new TextEncoderStream());
      return context.body(lines as never, 200, { 'content-type': 'application/jsonl' });
    },
  },
  {
    method: 'get',
    path: '/v1/events',
    role: 'viewer',
    summary: 'Changes of rotations as server-sent events',
    handle: async ({ orchestrator, context }) => streamChanges(context, orchestrator),
  },
];

async function pause({ orchestrator, actor }: RouteInput, paused: boolean, policy?: string): Promise<object> {
  const { ledger } = orchestrator;
  if (policy !== undefined) await getPolicy(ledger, policy);
  const changed = await setPaused(ledger, paused, policy);
  const subject = policy === undefined ? 'RotationPolicy *' : `RotationPolicy ${policy}`;
  if (changed > 0)
    await appendAudit(ledger, { actor, action: paused ? 'policy.paused' : 'policy.resumed', subject });
  return { changed };
}

async function* auditLines({
  ledger,
}: {
  ledger: RouteInput['orchestrator']['ledger'];
}): AsyncGenerator<string> {
  for await (const { seq, previousHash, hash, at, actor, action, subject, detail } of sealedEvents(ledger)) {
    const row = {
      seq: String(seq),
      at,
      actor,
      action,
      subject,
      detail,
      previousHash: previousHash.toString('hex'),
      hash: hash.toString('hex'),
    };
    yield `${JSON.stringify(row)}\n`;
  }
}

import { z } from '@hono/zod-openapi';
import { listIncidents } from '../../ledger/incidents.ts';
import { listResources } from '../../ledger/resources.ts';
import { approveIncident } from '../incidents/approve.ts';
import { describeIncident } from '../incidents/describe.ts';
import { respondDryRun } from '../incidents/dry-run.ts';
import { evidenceOf } from '../incidents/evidence.ts';
import { evidencePage } from '../incidents/evidence-page.ts';
import { type Response, respond } from '../incidents/respond.ts';
import { SEVERITIES } from '../intake/report.ts';
import type { ApiRoute } from './api.ts';

const responseBody = z.object({
  policy: z.string().max(320).optional(),
  secret: z.string().min(1).max(65_536).optional(),
  reason: z.string().min(1).max(500),
  severity: z.enum(SEVERITIES).default('critical'),
});

/** Incidents and runbooks: to see them, and to open one on a person's word. */
export const incidentRoutes: readonly ApiRoute[] = [
  {
    method: 'get',
    path: '/v1/runbooks',
    role: 'viewer',
    summary: 'List runbooks',
    handle: async ({ orchestrator }) => ({ runbooks: await listResources(orchestrator.ledger, 'Runbook') }),
  },
  {
    method: 'get',
    path: '/v1/incidents',
    role: 'viewer',
    summary: 'List incidents, newest first',
    handle: async ({ orchestrator }) => ({ incidents: await listIncidents(orchestrator.ledger) }),
  },
  {
    method: 'get',
    path: '/v1/incidents/{id}',
    role: 'viewer',
    summary: 'Describe an incident: reports, credentials, what happened when, proofs',
    params: z.object({ id: z.uuid() }),
    handle: ({ orchestrator, params }) => describeIncident(orchestrator, params.id as string),
  },
  {
    method: 'get',
    path: '/v1/incidents/{id}/evidence',
    role: 'viewer',
    summary: 'The evidence of an incident, for an auditor: JSON, or with format=html a page',
    params: z.object({ id: z.uuid() }),
    query: z.object({ format: z.enum(['json', 'html']).optional() }),
    handle: async ({ orchestrator, params, query, context }) => {
      const bundle = await evidenceOf(orchestrator, params.id as string);
      if (query.format !== 'html') return bundle;
      // The page has its own style and nothing else.
      context.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'");
      return context.html(evidencePage(bundle));
    },
  },
  {
    method: 'post',
    path: '/v1/incidents/{id}/approvals',
    role: 'responder',
    summary: 'Approve what the runbook of an incident waits for; one person counts once, however many tokens',
    params: z.object({ id: z.uuid() }),
    body: { type: 'application/json', schema: z.object({ policy: z.string().max(320).optional() }) },
    handle: async ({ orchestrator, params, body, actor, context }) => {
      const { policy } = body as { policy?: string };
      const person = context.get('token').owner;
      return {
        approved: await approveIncident(orchestrator, params.id as string, policy, { person, actor }),
      };
    },
  },
  {
    method: 'post',
    path: '/v1/respond',
    role: 'responder',
    summary:
      'Answer a leak: of a policy, or of a secret, which is fingerprinted and forgotten; with dryRun=true tell what would be done',
    body: { type: 'application/json', schema: responseBody },
    query: z.object({ dryRun: z.enum(['true', 'false']).optional() }),
    handle: ({ orchestrator, body, actor, query }) =>
      query.dryRun === 'true'
        ? respondDryRun(orchestrator, body as Response, actor)
        : respond(orchestrator, body as Response, actor),
  },
];

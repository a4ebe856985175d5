import { isIP } from 'node:net';
import { z } from 'zod';
import type { NewRead } from '../../../ledger/secret-reads.ts';
import { logicalNameOf } from '../../../workers/kubernetes/secret-names.ts';
import { assertBearer, isoTime } from '../proof.ts';
import { idOfBody, readJson } from '../reading.ts';
import { secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const MIB = 1024 * 1024;

const settings = z.strictObject({
  secretsFrom,
  context: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe('Context of the kubeconfig that is this cluster; reads of Secrets of any context when absent'),
  maxBytes: z
    .int()
    .min(MIB)
    .max(64 * MIB)
    .default(10 * MIB)
    .describe('Longest batch; what the API server is told by --audit-webhook-truncate-max-batch-size'),
});

const batch = z.object({
  apiVersion: z.literal('audit.k8s.io/v1'),
  kind: z.literal('EventList'),
  items: z.array(z.unknown()).max(50_000),
});

/** The fields that are read. `requestObject`, `responseObject` and `annotations` may hold the Secret itself and are not. */
const event = z.object({
  auditID: z.string().regex(/^[\w-]{1,64}$/),
  stage: z.enum(['ResponseStarted', 'ResponseComplete']),
  verb: z.enum(['get', 'list', 'watch']),
  user: z.object({ username: z.string(), groups: z.array(z.string()).nullish().catch(null) }),
  impersonatedUser: z.object({ username: z.string() }).nullish().catch(null),
  sourceIPs: z.array(z.string()).nullish().catch(null),
  userAgent: z.string().nullish().catch(null),
  objectRef: z.object({
    resource: z.literal('secrets'),
    apiGroup: z.literal('').nullish(),
    subresource: z.literal('').nullish(),
    namespace: z.string().nullish(),
    name: z.string().nullish(),
  }),
  responseStatus: z.object({ code: z.int() }).nullish().catch(null),
  requestReceivedTimestamp: z.string(),
});

const MAX_GROUPS = 10;
const MAX_IPS = 5;

/**
 * Audit webhook of a kube-apiserver (`--audit-webhook-config-file`): an `audit.k8s.io/v1` EventList, a bearer token. Reads of
 * Secrets are put on record, and open no incident: reading is what Secrets are for.
 */
export const kubernetesAudit: HookSource<z.output<typeof settings>> = {
  kind: 'kubernetesAudit',
  settings,
  maxBytes: ({ maxBytes }) => maxBytes,

  async verify(request, { secretsFrom: references }, around) {
    assertBearer(request, await around.secrets(references));
  },

  read(request, { context }) {
    const { items } = readJson(request.body, batch);
    // Others of the same batch must not get lost with one that is strange.
    const reads = items.flatMap((item) => readOf(item) ?? []);
    return { kind: 'reads', deliveryId: idOfBody(request.body), context, reads };
  },
};

function readOf(item: unknown): NewRead | undefined {
  const { data } = event.safeParse(item);
  const at = isoTime(data?.requestReceivedTimestamp);
  if (!data || !at) return undefined;
  const { namespace, name } = data.objectRef;
  if ((namespace && !isObjectName(namespace)) || (name && !isObjectName(name))) return undefined;
  return {
    auditId: data.auditID,
    at,
    verb: data.verb,
    namespace: namespace || null,
    name: name || null,
    logicalName: name ? logicalNameOf(name) : null,
    user: told(data.user.username, 256) ?? 'unnamed',
    impersonated: data.impersonatedUser ? (told(data.impersonatedUser.username, 256) ?? 'unnamed') : null,
    groups: (data.user.groups ?? []).slice(0, MAX_GROUPS).flatMap((group) => told(group, 100) ?? []),
    ips: (data.sourceIPs ?? []).filter((ip) => isIP(ip) > 0).slice(-MAX_IPS),
    userAgent: told(data.userAgent ?? '', 100) ?? null,
    code: data.responseStatus?.code ?? null,
  };
}

function isObjectName(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(text);
}

/** The beginning of a line of plain characters: names of certificates and browsers' agents included, nothing quoted. */
function told(text: string, most: number): string | undefined {
  const beginning = text.slice(0, most);
  return /^[\w][\w .,;:/@+#()=*|$%~!-]*$/.test(beginning) ? beginning : undefined;
}

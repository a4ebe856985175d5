import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import type { Cluster, ClusterObject, ObjectRef } from '../../core/kubernetes/cluster.ts';

/**
 * Annotation that makes External Secrets look at once: any change of an object's metadata does.
 * https://external-secrets.io/latest/introduction/faq/
 */
export const FORCE_SYNC = 'force-sync';

const AGAIN_MS = 30_000;
/** Who waits asks again far sooner: after such a pause the version was there in between, and has gone. */
const ANEW_MS = 3 * AGAIN_MS;
/** Of what the operator says of an error. */
const LONGEST_MESSAGE = 300;

interface Condition {
  readonly type?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** Why an ExternalSecret is never copied again. https://external-secrets.io/latest/api/externalsecret/ (refreshPolicy) */
export function neverCopied({ spec = {} }: ClusterObject): string | undefined {
  if (spec.target?.immutable === true) return 'its target is immutable, so that it is never copied again';
  if (spec.refreshPolicy === 'CreatedOnce') return 'its refreshPolicy is CreatedOnce: it never copies again';
  if (spec.refreshPolicy !== 'OnChange' && /^0[a-z]*$/.test(spec.refreshInterval ?? ''))
    return 'its refreshInterval is 0, with which some versions never copy again; set refreshPolicy: OnChange';
  return undefined;
}

/** Makes the operator look now, and again every 30 seconds: a store may take a while until it gives a version everywhere. */
export async function forceSync(
  call: Call,
  cluster: Cluster,
  source: ObjectRef,
  found: ClusterObject,
  versionId: string,
): Promise<number> {
  const told = found.metadata?.annotations?.[FORCE_SYNC];
  const { value, sinceMs } = nextForceSync(told, versionId, call.clock.now().getTime());
  if (value !== told)
    await cluster.mergePatch(call, source, { metadata: { annotations: { [FORCE_SYNC]: value } } });
  return sinceMs;
}

/** Since when the operator has been waited for, by what the object says. */
export function askedSince({ metadata }: ClusterObject, versionId: string, now: Date): Date {
  const told = metadata?.annotations?.[FORCE_SYNC];
  return new Date(nextForceSync(told, versionId, now.getTime()).sinceMs);
}

/** What the annotation must say now: which version, since when it is waited for, and how often it was asked for again. */
export function nextForceSync(
  told: string | undefined,
  versionId: string,
  nowMs: number,
): { readonly value: string; readonly sinceMs: number } {
  const [, version, since = '', asked = '0'] = /^(\S+) since (\S+)(?: again (\d+))?/.exec(told ?? '') ?? [];
  const known = version === versionId ? Date.parse(since) : Number.NaN;
  const quietMs = nowMs - (known + Number(asked) * AGAIN_MS);
  const sinceMs = Number.isNaN(known) || quietMs > ANEW_MS ? nowMs : known;
  const again = Math.max(0, Math.floor((nowMs - sinceMs) / AGAIN_MS));
  const value = `${versionId} since ${new Date(sinceMs).toISOString()}`;
  return { value: again === 0 ? value : `${value} again ${again}`, sinceMs };
}

/** What a copier says of itself, for people. */
export function saidBy({ status }: ClusterObject): string {
  const conditions: readonly Condition[] = status?.conditions ?? [];
  return conditions.map(({ type, status: is, reason }) => `${type}=${is} ${reason ?? ''}`.trim()).join(', ');
}

/** Why it isn't ready, by the operator's reason alone. */
export function notReady(found: ClusterObject): string | undefined {
  const ready = readyOf(found);
  return ready?.status === 'True' ? undefined : `it is not ready (${ready?.reason ?? 'it says nothing yet'})`;
}

/**
 * What the operator says went wrong: its reason and its message. Providers' texts are in there, so one that has a secret of
 * the version in it is left out.
 */
export function troubleOf(found: ClusterObject, { secrets }: Credential): string | undefined {
  const ready = readyOf(found);
  if (ready?.status !== 'False') return undefined;
  const message = ready.message ?? '';
  const quotes = Object.values(secrets).some(
    (secret) => secret.size > 0 && message.includes(secret.reveal()),
  );
  const told = quotes ? 'its message has the secret in it' : message.slice(0, LONGEST_MESSAGE);
  return `${ready.reason ?? 'not ready'}${told === '' ? '' : `: ${told}`}`;
}

function readyOf({ status }: ClusterObject): Condition | undefined {
  const conditions: readonly Condition[] = status?.conditions ?? [];
  return conditions.find(({ type }) => type === 'Ready');
}

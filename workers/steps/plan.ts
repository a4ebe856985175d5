import { type Credential, decodeCredential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { Survey } from '../rollouts/rollout.ts';
import type { Done, Step, StepContext } from '../saga/context.ts';
import { type Initial, initialCredential } from '../saga/initial.ts';

/** Reads provider, store and consumers, and refuses early: nothing is changed when a precondition fails. */
export const plan: Step = {
  async perform(context): Promise<Done> {
    const { parts, spec } = context;
    const store = await parts.store.check?.(context.call(), spec.store.path);
    const existing = await currentOf(context);
    const adopted = existing.credential ? undefined : await initialOf(context);
    const current = existing.credential ?? adopted?.credential;
    const leaked = existing.leaked || adopted?.leaked === true;
    const report = await parts.rotator.plan(context.call(), current, leaked);
    if (current && !leaked) await assertUsageVisible(context, current);
    for (const delivery of parts.deliveries) await delivery.plan(context.call(), current, context.others);
    // Consumers of a credential that never existed can't be healthy yet.
    // Nor can those of a leaked one, which is refused already, perhaps.
    if (current && !leaked) for (const rollout of parts.rollouts) await rollout.plan(context.call(60_000));
    const before = await observed(context, current);
    const beforeDelivery = await observedTargets(context, current);
    const surveys = current ? await surveyed(context) : [];
    if (adopted) await adopt(context, adopted, existing.storeCurrent);

    const facts = {
      actions: report.actions,
      warnings: [
        ...(store?.warnings ?? []),
        ...report.warnings,
        ...parts.deliveries.flatMap(({ warnings = [] }) => warnings),
        ...surveys.flatMap(({ warnings }) => warnings),
      ],
      overlap: parts.rotator.capabilities.overlap,
      storeCurrent: adopted?.credential.versionId ?? existing.storeCurrent ?? null,
      consumers: spec.consumers.map((consumer) => consumer.name),
      ...(surveys.length > 0 ? { found: surveys.flatMap(({ found }) => found) } : {}),
      deliveries: parts.deliveries.map((delivery) => delivery.target),
      ...(Object.keys(before).length > 0 ? { before } : {}),
      ...(Object.keys(beforeDelivery).length > 0 ? { beforeDelivery } : {}),
    };
    if (!current) return { facts: { ...facts, first: true } };
    const { versionId, identity } = current;
    const known = {
      id: versionId,
      state: 'current' as const,
      identity,
      fingerprint: context.fingerprint(current),
    };
    return { facts, oldVersion: versionId, versions: [known] };
  },
};

/** What consumers can only be judged by later when it was seen before anything was changed, by their names. */
async function observed(
  { parts, call }: StepContext,
  current: Credential | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const before: Record<string, unknown> = {};
  for (const rollout of parts.rollouts) {
    const seen = await rollout.observe?.(call(60_000), current);
    if (seen !== undefined) before[rollout.consumer] = seen;
  }
  return before;
}

/** The same of targets that others write. */
async function observedTargets(
  { parts, call }: StepContext,
  current: Credential | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const before: Record<string, unknown> = {};
  for (const delivery of parts.deliveries) {
    const seen = await delivery.observe?.(call(60_000), current);
    if (seen !== undefined) before[delivery.target] = seen;
  }
  return before;
}

/** Who was found to use it, and what could not be looked at. */
async function surveyed(context: StepContext): Promise<readonly Survey[]> {
  const surveys: Survey[] = [];
  for (const rollout of context.parts.rollouts) {
    const seen = await rollout.survey?.(context.call(60_000));
    if (seen) surveys.push(seen);
  }
  return surveys;
}

/** The store's current version, unless a rotation that was rolled back had to leave it there. */
async function currentOf(
  context: StepContext,
): Promise<{ credential: Credential | undefined; storeCurrent: string | undefined; leaked: boolean }> {
  const { path } = context.spec.store;
  const found = await context.parts.store.read(context.call(), path, 'current');
  if (!found) return { credential: undefined, storeCurrent: undefined, leaked: false };
  const known = (await context.versions()).find((version) => version.id === found.versionId);
  // One that was current is there because somebody has put it back.
  if (known?.state === 'discarded' && known.currentAt === undefined)
    return { credential: undefined, storeCurrent: found.versionId, leaked: false };
  const credential = decodeCredential(found.versionId, found.document, context.parts.rotator.format);
  return { credential, storeCurrent: found.versionId, leaked: known?.compromised === true };
}

/** The credential that `initialFrom` points to, for a policy whose store is still empty. */
async function initialOf(
  context: StepContext,
): Promise<(Initial & { readonly leaked: boolean }) | undefined> {
  const { spec, rotation, parts } = context;
  const initial = await initialCredential(
    spec,
    rotation.policyUid,
    parts.rotator.format,
    context.fingerprint,
  );
  if (!initial) return undefined;
  const known = (await context.versions()).find(({ id }) => id === initial.credential.versionId);
  return { ...initial, leaked: known?.compromised === true };
}

async function adopt(
  context: StepContext,
  { credential, document }: Initial,
  storeCurrent: string | undefined,
): Promise<void> {
  const { store } = context.parts;
  const { path } = context.spec.store;
  await store.stage(context.call(), path, credential.versionId, document);
  await store.promote(context.call(), path, credential.versionId, storeCurrent);
}

/** Time alone is no evidence, so a provider that doesn't show who uses a credential is refused here, not after hours. */
async function assertUsageVisible(context: StepContext, current: Credential): Promise<void> {
  const { capabilities } = context.parts.rotator;
  if (context.spec.settle.evidence === 'time-only') return;
  if (capabilities.overlap === 'no-provider' || capabilities.overlap === 'none') return;
  const usage = await context.parts.rotator.usage(context.call(), current, await context.now());
  if (usage.sessions !== undefined) return;
  throw new RotorError('provider.permission-denied', {
    what: `the sessions of ${current.identity} can't be seen, so nothing could prove that the old credential is unused`,
    hint: 'Let the admin role see sessions (PostgreSQL: GRANT pg_read_all_stats), or set `settle.evidence: time-only`.',
  });
}

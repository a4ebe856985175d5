import { readFile } from 'node:fs/promises';
import { type Credential, decodeCredential } from '../../core/credential.ts';
import { foreignCode, RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Survey } from '../rollouts/rollout.ts';
import type { Done, Step, StepContext } from '../saga/context.ts';

/** Reads provider, store and consumers, and refuses early: nothing is changed when a precondition fails. */
export const plan: Step = {
  async perform(context): Promise<Done> {
    const { parts, spec } = context;
    const store = await parts.store.check?.(context.call(), spec.store.path);
    const existing = await currentOf(context);
    const adopted = existing.credential ? undefined : await initialCredential(context);
    const current = existing.credential ?? adopted?.credential;
    const { leaked } = existing;
    const report = await parts.rotator.plan(context.call(), current, leaked);
    if (current && !leaked) await assertUsageVisible(context, current);
    for (const delivery of parts.deliveries) await delivery.plan(context.call(), current);
    // Consumers of a credential that never existed can't be healthy yet.
    // Nor can those of a leaked one, which is refused already, perhaps.
    if (current && !leaked) for (const rollout of parts.rollouts) await rollout.plan(context.call(60_000));
    const before = await observed(context, current);
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
  if (known?.state === 'discarded')
    return { credential: undefined, storeCurrent: found.versionId, leaked: false };
  const credential = decodeCredential(found.versionId, found.document, context.parts.rotator.format);
  return { credential, storeCurrent: found.versionId, leaked: known?.compromised === true };
}

interface Adopted {
  readonly credential: Credential;
  readonly document: SecretValue;
}

/** The credential that `initialFrom` points to, for a policy whose store is still empty. */
async function initialCredential(context: StepContext): Promise<Adopted | undefined> {
  const file = context.spec.initialFrom?.file;
  if (file === undefined) return undefined;
  const bytes = await readFile(file).catch((error) => {
    throw new RotorError('reference.unresolved', {
      what: `initialFrom: ${file} can't be read (${foreignCode(error)})`,
    });
  });
  const document = SecretValue.of(bytes);
  bytes.fill(0);
  return { credential: decodeCredential(context.newId(), document, context.parts.rotator.format), document };
}

async function adopt(
  context: StepContext,
  { credential, document }: Adopted,
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

import type { Call } from '../../core/call.ts';
import { decodeCredential } from '../../core/credential.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { readJournal } from '../../ledger/journal.ts';
import {
  claimToGather,
  gathered,
  type Observation,
  type ObservationKind,
  observe,
  type ToGather,
} from '../../ledger/observations.ts';
import { readsOf } from '../../ledger/secret-reads.ts';
import { versionedName } from '../kubernetes/secret-names.ts';
import type { ConsumerProof } from '../rollouts/rollout.ts';
import type { Saga } from '../saga/engine.ts';
import { openParts, type Parts } from '../saga/parts.ts';
import type { RotationSpec } from '../saga/spec.ts';

const AT_ONCE = 5;
const LIMIT_MS = 20_000;
/** What failed is looked at again after that long, so often; what could be seen then is better than nothing. */
const AGAIN_MS = 5_000;
const MAX_TRIES = 5;

type Deps = Pick<Saga, 'ledger' | 'registries' | 'clock' | 'random' | 'log'>;
type Gathering = ToGather<RotationSpec>;

/**
 * Looks at what will be gone later: who might read a leaked credential, which pods had it, who used it. Beside the answer and
 * never in its way; what can't be seen is put down in words.
 */
export async function gatherEvidence(deps: Deps): Promise<void> {
  for (;;) {
    const due = await claimToGather<RotationSpec>(deps.ledger, AT_ONCE);
    await Promise.all(due.map((each) => gather(deps, each)));
    if (due.length < AT_ONCE) return;
  }
}

async function gather(deps: Deps, target: Gathering): Promise<void> {
  const { log } = deps;
  try {
    if (target.ended) return await keep(deps, target, [await readsBy(deps, target)]);
    const looks = await lookAll(deps, target);
    const again = looks.some(({ retryable }) => retryable) && target.tries < MAX_TRIES;
    await keep(deps, target, looks, again ? AGAIN_MS : undefined);
  } catch (thrown) {
    log.warn({ err: asRotorError(thrown, `evidence of ${target.policy}`) }, 'evidence is not gathered yet');
  }
}

interface Look extends Observation {
  readonly retryable?: boolean;
}

/** @param againInMs as {@link gathered} takes it */
async function keep(
  { ledger }: Deps,
  target: Gathering,
  looks: readonly Look[],
  againInMs?: number,
): Promise<void> {
  await ledger.transaction(async (transaction) => {
    await gathered(transaction, target, againInMs);
    for (const look of looks) await observe(transaction, target.incidentId, target.policyUid, look);
  });
}

async function lookAll(deps: Deps, target: Gathering): Promise<readonly Look[]> {
  const { clock, random, log, registries } = deps;
  const call: Call = { deadline: Deadline.after(LIMIT_MS, clock), fence: 0n, clock, random, log };
  const consumers = await look('consumers', () => provenConsumers(deps, target));
  let parts: Parts;
  try {
    if (!target.spec) throw new RotorError('ledger.not-found', { what: 'the policy was never rotated' });
    parts = openParts(target.spec, registries);
  } catch (thrown) {
    const unopened = (kind: ObservationKind) =>
      look(kind, () => Promise.reject(asRotorError(thrown, 'opening')));
    return [consumers, await unopened('readers'), await unopened('pods'), await unopened('use')];
  }
  try {
    return await Promise.all([
      consumers,
      look('readers', () => readers(parts, call)),
      look('pods', () => pods(parts, call, target)),
      // Where it is revoked first its sessions are seen while it is contained.
      ...(target.mode === 'overlap' ? [look('use', () => use(parts, call, target))] : []),
    ]);
  } finally {
    await parts.close();
  }
}

async function look(
  kind: ObservationKind,
  see: () => Promise<Readonly<Record<string, unknown>>>,
): Promise<Look> {
  try {
    return { kind, facts: await see() };
  } catch (thrown) {
    const error = asRotorError(thrown, `looking for ${kind}`);
    return { kind, facts: {}, problem: error.message, retryable: error.kind !== 'terminal' };
  }
}

const NO_CLUSTER = 'it is delivered to no Secret of a cluster, so nothing tells who reads it';

async function readers(parts: Parts, call: Call) {
  const told = parts.deliveries.filter((delivery) => delivery.readers);
  if (told.length === 0) return { note: NO_CLUSTER };
  const secrets = await Promise.all(told.map((delivery) => delivery.readers?.(call) ?? []));
  return { secrets: secrets.flat() };
}

async function pods(parts: Parts, call: Call, { versionId, versionState }: Gathering) {
  const told = parts.deliveries.filter((delivery) => delivery.holders);
  if (told.length === 0 || versionId === null) return { note: NO_CLUSTER };
  const holders = await Promise.all(told.map((delivery) => delivery.holders?.(call, versionId) ?? []));
  const current = versionState === 'current';
  const note =
    'the leaked version is not the current one: a Secret that keeps its name holds a later one by now';
  return { pods: holders.flat(), ...(current ? {} : { note }) };
}

/** Who was seen healthy with the version when it was rolled out. */
async function provenConsumers({ ledger }: Deps, { madeBy, versionId }: Gathering) {
  const journal = madeBy === null ? [] : await readJournal(ledger, madeBy);
  const proofs = journal.flatMap(({ event, direction, facts }) =>
    event === 'done' && direction === 'forward' ? ((facts.proofs ?? []) as readonly ConsumerProof[]) : [],
  );
  const latest = new Map(proofs.map((proof) => [proof.consumer, proof]));
  if (latest.size > 0) return { consumers: [...latest.values()] };
  return { note: versionId === null ? 'no version is known' : 'no rotation of Rotor moved consumers to it' };
}

async function use({ rotator, store }: Parts, call: Call, { versionId, spec }: Gathering) {
  if (versionId === null || !spec) return { note: 'no version is known' };
  if (!rotator.capabilities.seesUsage) return { note: 'the provider does not tell who uses a credential' };
  const found = await store.read(call, spec.store.path, { versionId });
  if (!found) return { note: 'the store keeps the version no longer' };
  const leaked = decodeCredential(versionId, found.document, rotator.format);
  const { sessions, clients } = await rotator.usage(call, leaked, call.clock.now());
  return { identity: leaked.identity, sessions: sessions ?? null, clients };
}

async function readsBy({ ledger }: Deps, target: Gathering): Promise<Look> {
  return look('reads', async () => ({ reads: await readsSince(ledger, target) }));
}

/** Who read the Secrets of the version since it was delivered, as far as clusters have told. */
export async function readsSince(
  ledger: Deps['ledger'],
  { spec, versionId, currentAt }: Pick<Gathering, 'spec' | 'versionId' | 'currentAt'>,
): ReturnType<typeof readsOf> {
  if (!spec || currentAt === null) return [];
  const secrets = spec.deliver.flatMap(({ kind, spec: written }) => {
    if (kind !== 'secret') return [];
    const { name, namespaces, style } = written as SecretTarget;
    const real = style === 'versioned' && versionId !== null ? versionedName(name, versionId) : name;
    return namespaces.map((namespace) => ({ namespace, name: real }));
  });
  // It is called current just before it is delivered.
  return secrets.length === 0 ? [] : readsOf(ledger, secrets, currentAt);
}

interface SecretTarget {
  readonly name: string;
  readonly namespaces: readonly string[];
  readonly style?: string;
}

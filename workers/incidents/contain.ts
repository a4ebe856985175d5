import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential, primarySecret } from '../../core/credential.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { timeToContain } from '../../core/telemetry.ts';
import {
  type Containment,
  claimContainments,
  providersToContain,
  recordContained,
  releaseContainment,
} from '../../ledger/containment.ts';
import { letGo } from '../../ledger/incident-rotations.ts';
import type { Saga } from '../saga/engine.ts';
import { initialCredential } from '../saga/initial.ts';
import { openParts, shareConnections } from '../saga/parts.ts';
import type { RotationSpec } from '../saga/spec.ts';
import { workThrough } from './lanes.ts';
import { keepSessions } from './sessions-seen.ts';

/** So many at once at one provider: each is a connection for the admin and one for the attempt. For that long at most. */
const LANES = 12;
const LIMIT_MS = 8_000;
/** Longer than the limit, so that nobody else begins before it is given up. */
const LEASE_MS = 10_000;
const FRESH_MS = 1_500;

type Deps = Pick<
  Saga,
  'ledger' | 'registries' | 'clock' | 'random' | 'log' | 'worker' | 'faults' | 'fingerprintKey'
>;

/**
 * Makes providers refuse what has leaked: those credentials of an incident that are due. Repeated without harm; what fails is
 * tried again by the next sweep. Each provider has lanes of its own, so that one that hangs keeps nobody waiting but its own.
 * @param incidentId undefined: of all incidents that wait
 * @param proceeds told of each rotation that needn't wait any more
 */
export async function containLeaked(
  deps: Deps,
  incidentId?: string,
  proceeds: (rotationId: string) => Promise<void> = async () => undefined,
): Promise<void> {
  const { ledger, clock } = deps;
  const sharing = shareConnections(deps.registries);
  const within = { ...deps, registries: sharing.registries };
  const atOne = async (provider: string) => {
    const handled: string[] = [];
    const proceed = async () => {
      const rotations = handled.splice(0);
      if (rotations.length === 0) return;
      await letGo(ledger, rotations);
      for (const rotation of rotations) await proceeds(rotation);
    };
    await workThrough<Containment<RotationSpec>>({
      width: LANES,
      freshMs: FRESH_MS,
      clock,
      take: async (limit) => {
        const more = await claimContainments<RotationSpec>(ledger, incidentId, provider, LEASE_MS, limit);
        // Nothing waits for containment any more, so the consumers' turn has come.
        if (more.length === 0) await proceed();
        return more;
      },
      work: async (containment) => {
        const outcome = await contain(within, containment);
        if (containment.rotationId !== undefined) handled.push(containment.rotationId);
        return outcome !== 'failed';
      },
      leave: (containment) => releaseContainment(ledger, containment),
    });
    await proceed();
  };
  try {
    await Promise.all((await providersToContain(ledger, incidentId)).map(atOne));
  } finally {
    await sharing.close();
  }
}

type Outcome = 'contained' | 'no-way' | 'failed';

async function contain(deps: Deps, containment: Containment<RotationSpec>): Promise<Outcome> {
  const { policy, versionId, incidentId } = containment;
  const log = deps.log.child({ incident: incidentId, policy });
  try {
    await deps.faults.reach('contain:claimed');
    const contained = await atProvider(deps, containment);
    await deps.faults.reach('contain:performed');
    if (!contained) {
      log.info('the provider can not disable this credential: its rotation replaces it');
      return 'no-way';
    }
    const recorded = await recordContained(deps.ledger, containment, `worker/${deps.worker}`);
    if (recorded) timeToContain().record(recorded.seconds, { mode: recorded.mode });
    await deps.faults.reach('contain:recorded');
    log.info({ version: versionId }, 'a leaked credential is refused');
    return 'contained';
  } catch (thrown) {
    log.warn({ err: asRotorError(thrown, `containing ${policy}`) }, 'a containment failed; it is repeated');
    await releaseContainment(deps.ledger, containment).catch(() => undefined);
    return 'failed';
  }
}

/** @returns whether the provider refuses it now, in a real attempt; false when it has no way to disable one */
async function atProvider(
  { ledger, registries, clock, random, log, fingerprintKey }: Deps,
  { spec, versionId, fence, incidentId, policyUid }: Containment<RotationSpec>,
): Promise<boolean> {
  const { seen, kept } = keepSessions(ledger, log, { incidentId, policyUid });
  const deadline = Deadline.after(LIMIT_MS, clock);
  const call: Call = { deadline, fence, clock, random, log };
  const parts = openParts(spec, registries);
  try {
    const { format } = parts.rotator;
    const print = (credential: Credential) =>
      primarySecret(credential, format).fingerprint(fingerprintKey).toString('hex');
    const found = await parts.store.read(call, spec.store.path, { versionId });
    // What no rotation has put into the store yet is where consumers have it from.
    const initial = found ? undefined : await initialCredential(spec, policyUid, format, print);
    const leaked = found
      ? decodeCredential(versionId, found.document, format)
      : initial?.credential.versionId === versionId
        ? initial.credential
        : undefined;
    if (!leaked)
      throw new RotorError('store.not-found', {
        what: `version ${versionId} is no longer in the store at ${spec.store.path}`,
      });
    if (!parts.rotator.contain) return false;
    await parts.rotator.contain(call, leaked, seen).catch((thrown) => {
      // A later worker has replaced it already: what counts is whether it is refused.
      if (!(thrown instanceof RotorError) || thrown.code !== 'ledger.fenced') throw thrown;
    });
    if ((await parts.rotator.attempt(call, leaked)) === 'refused') return true;
    throw new RotorError('provider.proof-failed', {
      what: `${leaked.identity} was disabled, and the provider still accepts it`,
      kind: 'retryable',
    });
  } finally {
    await kept();
    await parts.close();
  }
}

import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import type { Logger } from '../../core/log.ts';
import { type Claimed, ledgerNow, resumedBy } from '../../ledger/rotations.ts';
import { listVersions } from '../../ledger/versions.ts';
import { fingerprintOf, readVersion, type StepContext } from './context.ts';
import { deliveredByOthers } from './delivered-by.ts';
import type { Saga } from './engine.ts';
import type { Lease } from './lease.ts';
import type { Parts } from './parts.ts';
import type { RunJournal } from './run-journal.ts';
import type { RotationSpec } from './spec.ts';

/** A call whose rotator names no time of its own. */
const CALL_MS = 15_000;

/** What a run knows at one moment, and what its steps are given of it. */
interface Moment {
  readonly saga: Saga;
  readonly rotation: Claimed<RotationSpec>;
  readonly lease: Lease;
  readonly log: Logger;
  readonly parts: Parts;
  readonly journal: RunJournal;
  readonly oldVersion: string | undefined;
  readonly newVersion: string | undefined;
  /** Credentials that have been read, by version: whoever ends the run destroys them. */
  readonly known: Map<string, Credential>;
}

/** What a step may see and use. Its calls end with the lease at the latest. */
export function contextOf(moment: Moment): StepContext {
  const { saga, rotation, lease, log, parts, journal, oldVersion, newVersion, known } = moment;
  const { ledger, clock, random, fingerprintKey } = saga;
  const call = (ms = parts.rotator.callMs ?? CALL_MS): Call => ({
    deadline: lease.deadline().within(ms, clock),
    fence: rotation.epoch,
    clock,
    random,
    log,
  });
  const credential = async (context: StepContext, id: string) => {
    const found = known.get(id) ?? (await readVersion(context, id));
    known.set(id, found);
    return found;
  };
  const context: StepContext = {
    rotation,
    spec: rotation.spec,
    parts,
    get position() {
      return journal.position;
    },
    call,
    oldVersion,
    newVersion,
    oldCredential: async () => (oldVersion ? credential(context, oldVersion) : undefined),
    newCredential: async () => credential(context, newVersion ?? ''),
    resumedBy: async () => {
      const { askedAt } = journal.position;
      return askedAt && resumedBy(ledger, rotation.id, askedAt);
    },
    now: () => ledgerNow(ledger),
    versions: () => listVersions(ledger, rotation.policyUid),
    others: deliveredByOthers(ledger, rotation.policyUid),
    fingerprint: (made) => fingerprintOf(made, context, fingerprintKey),
    newId: () => random.uuid(),
  };
  return context;
}

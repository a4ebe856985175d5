import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential, primarySecret } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { AuditEvent } from '../../ledger/audit.ts';
import type { Claimed } from '../../ledger/rotations.ts';
import type { CredentialVersion, VersionChange } from '../../ledger/versions.ts';
import type { OtherPolicy } from '../deliveries/delivery.ts';
import type { Parts } from './parts.ts';
import type { Position } from './position.ts';
import type { RotationSpec } from './spec.ts';

/** What a step gets: the rotation, its opened parts, and nothing of the ledger but answers to questions. */
export interface StepContext {
  readonly rotation: Claimed<RotationSpec>;
  readonly spec: RotationSpec;
  readonly parts: Parts;
  readonly position: Position;
  /** For one side effect: ends with the lease at the latest, and after `ms` (15 s, or what the rotator asks for) at most. */
  call(ms?: number): Call;
  readonly oldVersion: string | undefined;
  readonly newVersion: string | undefined;
  /** The credential that consumers used when the rotation began; undefined when there was none. */
  oldCredential(): Promise<Credential | undefined>;
  /** The credential that this rotation made. */
  newCredential(): Promise<Credential>;
  /** Who has let the rotation go on since its open step asked for a human; undefined when no person did. */
  resumedBy(): Promise<string | undefined>;
  /** The database's clock. */
  now(): Promise<Date>;
  /** What the ledger knows of this policy's versions, newest first. */
  versions(): Promise<readonly CredentialVersion[]>;
  /** Which other policy delivers what a target carries. */
  readonly others: OtherPolicy;
  fingerprint(credential: Credential): string;
  /** A new version id. */
  newId(): string;
}

/** A step's outcome. `facts` are shown to people and read by later steps. */
export interface Done {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly versions?: readonly VersionChange[];
  readonly audit?: readonly Omit<AuditEvent, 'actor'>[];
  readonly oldVersion?: string;
}

/** Not yet: come back in `waitMs` without holding a worker. */
export interface Wait {
  readonly waitMs: number;
  readonly reason: string;
  /** What has to be known when the step goes on, by whatever worker: found again in {@link Position.noted}. */
  readonly note?: Readonly<Record<string, unknown>>;
}

/** One step of the saga. All parts may run again after a crash and must find out for themselves what is done. */
export interface Step {
  /** Changes nothing anywhere and depends on no time of the journal: it shares the commit of its neighbour. */
  readonly readsOnly?: true;
  /** What is committed together with the intent, before anything happens. */
  announce?(context: StepContext): {
    facts: Readonly<Record<string, unknown>>;
    newVersion: string;
    versions: readonly VersionChange[];
  };
  /** After an unknown outcome: the outcome if the effect has happened, undefined if not. */
  probe?(context: StepContext): Promise<Done | undefined>;
  perform(context: StepContext): Promise<Done | Wait>;
  /** Takes the effect back; also when only half of it, or nothing, had happened. */
  undo?(context: StepContext): Promise<Done | Wait>;
}

/** Reads one version out of the store. @throws RotorError `store.not-found` when it is gone */
export async function readVersion(context: StepContext, versionId: string): Promise<Credential> {
  const { store, rotator } = context.parts;
  const { path } = context.spec.store;
  const found = await store.read(context.call(), path, { versionId });
  if (!found) {
    throw new RotorError('store.not-found', {
      what: `version ${versionId} is no longer in the store at ${path}`,
    });
  }
  return decodeCredential(versionId, found.document, rotator.format);
}

export function fingerprintOf(
  credential: Credential,
  context: Pick<StepContext, 'parts'>,
  key: SecretValue,
): string {
  return primarySecret(credential, context.parts.rotator.format).fingerprint(key).toString('hex');
}

import type { OutlookRotation } from '../../ledger/outlook.ts';
import { needsHuman, type PolicyFacts, whatOf } from './policy-status.ts';
import type { Status } from './status.ts';

/** Something worth an Event. */
export interface Happening {
  /** Tells it from every other of its object: whoever tells the same happening writes the same Event. */
  readonly key: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason:
    | 'RotationStarted'
    | 'RotationDone'
    | 'RotationRolledBack'
    | 'RotationNeedsHuman'
    | 'ManifestInvalid';
  readonly message: string;
  readonly at: Date | undefined;
}

/**
 * What has happened to a policy since its status was written. The status is what is remembered: after a restart nothing is
 * told again that it knows already.
 */
export function rotationHappenings({ resource, outlook }: PolicyFacts): readonly Happening[] {
  const known = resource.status.lastRotation;
  const rotations = outlook?.rotations ?? [];
  const index = rotations.findIndex(({ id }) => id === known?.id);
  const newer = (index < 0 ? rotations : rotations.slice(0, index)).filter(
    // What a policy did before there was a custom resource of it is no news.
    ({ createdAt, endedAt }) => (endedAt ?? createdAt) >= resource.createdAt,
  );
  const same = rotations[index];
  const ended = same && same.state !== known?.state ? endOf(same) : [];
  return [...ended, ...newer.toReversed().flatMap((each) => [startOf(each), ...endOf(each)])];
}

/** A manifest that is refused, unless the status says so already. */
export function refusalHappenings(
  before: Partial<Status>,
  after: Pick<Status, 'conditions' | 'observedGeneration'>,
): readonly Happening[] {
  const find = ({ conditions }: Partial<Status>) => conditions?.find(({ type }) => type === 'Accepted');
  const [was, is] = [find(before), find(after)];
  if (is?.status !== 'False' || (was?.status === 'False' && was.message === is.message)) return [];
  const key = `${after.observedGeneration} ${is.message}`;
  return [{ key, type: 'Warning', reason: 'ManifestInvalid', message: is.message, at: undefined }];
}

function startOf({ id, trigger, requestedBy, createdAt }: OutlookRotation): Happening {
  const message = `rotation ${id} was started (${trigger}, by ${requestedBy})`;
  return { key: id, type: 'Normal', reason: 'RotationStarted', message, at: createdAt };
}

function endOf(rotation: OutlookRotation): readonly Happening[] {
  const { id, state, endedAt: at, newVersion } = rotation;
  // A rotation that needed a human and was resumed may need one again.
  const key = `${id} ${at?.getTime()}`;
  switch (state) {
    case 'queued':
    case 'running':
    case 'waiting':
      return [];
    case 'done': {
      const message = `rotation ${id} is done${newVersion ? `: version ${newVersion} is current` : ''}`;
      return [{ key, type: 'Normal', reason: 'RotationDone', message, at }];
    }
    case 'rolled-back': {
      const message = `rotation ${id} was rolled back: ${whatOf(rotation)}`;
      return [{ key, type: 'Warning', reason: 'RotationRolledBack', message, at }];
    }
    case 'needs-human':
      return [{ key, type: 'Warning', reason: 'RotationNeedsHuman', message: needsHuman(rotation), at }];
  }
}

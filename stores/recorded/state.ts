import { z } from 'zod';
import { RotorError } from '../../core/errors.ts';
import { hashUuid } from '../../core/hash-uuid.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Droppable, withStage } from '../stages.ts';

/** What Rotor keeps about one path, beside it in the store. Holds no secret. */
export interface State {
  /** Highest fencing token that wrote here. */
  readonly fence: bigint;
  /** Oldest first. */
  readonly versions: readonly RecordedVersion[];
  /** What consumers read, as far as Rotor knows. */
  readonly live?: Live | undefined;
}

export interface RecordedVersion extends Droppable {
  /** Numbers of the store's versions at the path itself that carried it. */
  readonly numbers: readonly number[];
  /** Number of the document where Rotor keeps it, in stores where it has one. */
  readonly kept?: number | undefined;
}

export interface Live {
  readonly versionId: string;
  /** The number at which Rotor wrote it, or is about to. */
  readonly number: number;
  /** Seen there. Until then consumers may still read the one before. */
  readonly published: boolean;
}

/** The newest version at the path itself. `same`: it is none but Rotor's, since it holds the document of `State.live`. */
export interface Seen {
  readonly number: number;
  readonly createdAt: Date;
  readonly gone: boolean;
  readonly same: boolean;
}

export type Current =
  | { readonly is: 'none' }
  | { readonly is: 'ours'; readonly versionId: string; readonly published: boolean }
  | { readonly is: 'foreign'; readonly versionId: string };

const stateSchema = z.object({
  format: z.string(),
  fence: z.string().regex(/^\d+$/),
  versions: z.array(
    z.object({
      versionId: z.string(),
      createdAt: z.string(),
      stages: z.array(z.enum(['pending', 'current', 'previous'])),
      numbers: z.array(z.int()),
      kept: z.int().optional(),
      dropped: z.boolean().optional(),
    }),
  ),
  live: z.object({ versionId: z.string(), number: z.int(), published: z.boolean() }).optional(),
});

export const EMPTY: State = { fence: 0n, versions: [] };

export function encodeState({ fence, versions, live }: State, format: string): SecretValue {
  return SecretValue.of(JSON.stringify({ format, fence: String(fence), versions, live }));
}

/** @throws RotorError `store.conflict` when somebody else wrote there */
export function decodeState(data: SecretValue, format: string, product: string, path: string): State {
  const parsed = stateSchema.safeParse(JSON.parse(data.reveal()));
  if (parsed.success && parsed.data.format === format) {
    const { fence, versions, live } = parsed.data;
    return { fence: BigInt(fence), versions, live };
  }
  throw new RotorError('store.conflict', {
    what: `${product}: the record of store path ${path} was not written by this version of Rotor`,
    hint: "Leave what is Rotor's own in the store to Rotor alone.",
  });
}

/**
 * Which version is current. A decision to publish counts from the moment that it is on record, since whoever
 * comes next carries it out; what somebody else wrote at the path is a version of its own.
 */
export function currentOf({ live }: State, seen: Seen, path: string): Current {
  const waiting = live !== undefined && !live.published && seen.number === live.number - 1;
  if (live && waiting) return { is: 'ours', versionId: live.versionId, published: false };
  if (seen.number === 0 || seen.gone) return { is: 'none' };
  if (live && seen.number === live.number && (live.published || seen.same)) {
    return { is: 'ours', versionId: live.versionId, published: live.published };
  }
  return { is: 'foreign', versionId: foreignId(path, seen.number, seen.createdAt) };
}

/**
 * The state when consumers read the live document under another number than was foreseen: where writes take no
 * condition, two workers that carry out one decision may both write it.
 */
export function followed(state: State, { number, same }: Pick<Seen, 'number' | 'same'>): State {
  const { live, versions } = state;
  if (!live || !same || live.number === number) return state;
  const all = versions.map((version) =>
    version.versionId === live.versionId && live.published
      ? { ...version, numbers: [...version.numbers, number] }
      : version,
  );
  return { ...state, versions: all, live: { ...live, number } };
}

/** The versions with their stages as they are, given what consumers read. */
export function effective(state: State, current: Current, seen: Seen): readonly RecordedVersion[] {
  const versions = state.versions.filter(({ dropped }) => !dropped);
  if (current.is === 'ours') return versions;
  const held = withStage(versions, 'current');
  const rest = versions.map((version): RecordedVersion => {
    if (version === held) return { ...version, stages: ['previous' as const] };
    const stages = version.stages.filter((stage) => held === undefined || stage !== 'previous');
    return { ...version, stages };
  });
  if (current.is === 'none') return rest;
  const foreign: RecordedVersion = {
    versionId: current.versionId,
    createdAt: seen.createdAt.toISOString(),
    stages: ['current'],
    numbers: [seen.number],
  };
  const others = rest.filter(({ versionId }) => versionId !== foreign.versionId);
  const later = others.findIndex(({ createdAt }) => createdAt > foreign.createdAt);
  return later < 0 ? [...others, foreign] : others.toSpliced(later, 0, foreign);
}

/** The same id for the same version of the store's, whose path and number say which: so for Vault and for Google. */
function foreignId(path: string, number: number, createdAt: Date): string {
  return hashUuid(`rotor.store.vault\n${path}\n${number}\n${createdAt.getTime()}`, '9');
}

/** Tags of Rotor's. Key Vault takes 15 tags of 256 characters on a version. */
export const TAG = {
  version: 'rotor-version',
  previous: 'rotor-previous',
  created: 'rotor-created',
  pending: 'rotor-pending',
  next: 'rotor-next',
  known: 'rotor-known',
  claim: 'rotor-claim',
} as const;

export const MAX_TAGS = 15;
/** Versions without a stage whose documents are kept; ids of all that are known fit one tag. */
export const KEPT = 4;

export type Tags = Readonly<Record<string, string>>;

/** What consumers read, and what Rotor noted beside it. */
export interface Live {
  /** Rotor's id: from the tag, or derived for a version that others made. */
  readonly versionId: string;
  readonly previous: string | undefined;
  /** Whether Rotor wrote it. */
  readonly ours: boolean;
}

/** What the record says. */
export interface Noted {
  readonly pending: string | undefined;
  /** Takes the stage from `pending` as soon as its document is there: so one write makes it both found and pending. */
  readonly next: string | undefined;
  /** Versions whose documents are kept, oldest first. */
  readonly known: readonly string[];
}

/** Tags of a version that becomes the live one: those of others stay as they were. */
export function liveTags(before: Tags, versionId: string, previous: string | undefined): Tags {
  const others = Object.entries(before).filter(([name]) => !name.startsWith('rotor-'));
  return {
    ...Object.fromEntries(others),
    [TAG.version]: versionId,
    ...(previous ? { [TAG.previous]: previous } : {}),
  };
}

export function withoutTag(tags: Tags, name: string): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([each]) => each !== name));
}

export function noted(tags: Tags = {}): Noted {
  const known = (tags[TAG.known] ?? '').split(' ').filter((id) => id !== '');
  return {
    pending: tags[TAG.pending] || undefined,
    next: tags[TAG.next] || undefined,
    known: known.map(long),
  };
}

/** UUIDs without their dashes: seven fit the 256 characters of a tag. */
export function recordTags({ pending, next, known }: Noted): Tags {
  return {
    ...(pending ? { [TAG.pending]: pending } : {}),
    ...(next ? { [TAG.next]: next } : {}),
    ...(known.length > 0 ? { [TAG.known]: known.map((id) => id.replaceAll('-', '')).join(' ') } : {}),
  };
}

/** The record without a version that is pending no longer. */
export function settled(record: Noted, versionId: string): Noted {
  // What `next` took the stage from doesn't get it back.
  if (record.next === versionId) return { ...record, pending: undefined, next: undefined };
  return record.pending === versionId ? { ...record, pending: undefined } : record;
}

/** `known` with `added` as the newest, and what is too old to be kept any longer. */
export function tidied(
  known: readonly string[],
  added: readonly string[],
  staged: readonly (string | undefined)[],
): { readonly known: readonly string[]; readonly dropped: readonly string[] } {
  const all = [...known.filter((id) => !added.includes(id)), ...added];
  const loose = all.filter((id) => !staged.includes(id));
  const dropped = loose.slice(0, Math.max(0, loose.length - KEPT));
  return { known: all.filter((id) => !dropped.includes(id)), dropped };
}

/**
 * When a version that replaces another expires: as long after its making as that one. Vaults under a policy that
 * every secret must expire stay in order.
 */
export function nextExpiry(
  now: Date,
  before: { readonly createdAt: Date; readonly expiresAt: Date | undefined } | undefined,
): Date | undefined {
  if (!before?.expiresAt) return undefined;
  const lifeMs = before.expiresAt.getTime() - before.createdAt.getTime();
  return lifeMs > 0 ? new Date(now.getTime() + lifeMs) : undefined;
}

/** A try to replace the live version. */
export interface Claim {
  /** Key Vault's id of the claim. */
  readonly version: string;
  readonly versionId: string;
  readonly createdAt: Date;
}

/**
 * Who may go first, decided alike by all who look: `go` when nobody else has a claim, `yield` when an older one is
 * there, `wait` when only younger ones are. A younger one that was blind to ours goes; one that saw it yields.
 */
export function turnOf(claims: readonly Claim[], versionId: string): 'go' | 'wait' | 'yield' {
  const rivals = claims.filter((claim) => claim.versionId !== versionId);
  const [first] = claims.toSorted(
    (a, b) => a.createdAt.getTime() - b.createdAt.getTime() || (a.version < b.version ? -1 : 1),
  );
  if (rivals.length === 0) return 'go';
  return first?.versionId === versionId ? 'wait' : 'yield';
}

function long(id: string): string {
  if (!/^[0-9a-f]{32}$/.test(id)) return id;
  return `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`;
}

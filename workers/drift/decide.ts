import type { AuditEvent } from '../../ledger/audit.ts';
import type { DriftFinding, DriftSubject } from '../../ledger/drift.ts';
import type { Difference } from '../deliveries/delivery.ts';
import type { RotationSpec } from '../saga/spec.ts';

/** What the policy wants done about drift. */
export type DriftMode = 'repair' | 'report' | 'ignore';

interface PolicyPart {
  readonly drift?: DriftMode;
  readonly suspend?: boolean;
  readonly deliver?: RotationSpec['deliver'];
}

/** What is to be looked at, or in words why nothing is. */
export type Task =
  | { readonly skip: string }
  | { readonly mode: 'repair' | 'report'; readonly spec: RotationSpec };

/**
 * What was delivered by the last rotation that was done, as far as the policy still says so: an entry that was added or
 * changed since comes with the next rotation, and one that was taken out is nobody's any more.
 * @param renews whether a kind of store keeps what ages by itself
 */
export function taskOf(
  { paused, rotating, policySpec, rotationSpec }: DriftSubject,
  renews: (storeKind: string) => boolean = () => false,
): Task {
  const policy = policySpec as PolicyPart;
  const spec = rotationSpec as RotationSpec | undefined;
  const mode = policy.drift ?? 'repair';
  if (mode === 'ignore') return { skip: 'the policy says so' };
  if (paused || policy.suspend) return { skip: 'the policy is paused' };
  if (rotating) return { skip: 'a rotation is open' };
  if (!spec) return { skip: 'nothing was delivered yet' };
  const wanted = new Set((policy.deliver ?? []).map((entry) => JSON.stringify(sorted(entry))));
  const deliver = spec.deliver.filter((entry) => wanted.has(JSON.stringify(sorted(entry))));
  if (deliver.length === 0 && !renews(spec.store.kind))
    return { skip: 'the policy delivers nothing that was delivered' };
  return { mode, spec: { ...spec, deliver, consumers: [] } };
}

/** The same text for the same content. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

/** One sentence per object: `key "password" was changed by kubectl-edit at 2026-11-21T10:00:00Z; label team is gone`. */
export function inWords(differences: readonly Difference[]): ReadonlyMap<string, string> {
  const byTarget = new Map<string, string[]>();
  for (const { target, what, by, at } of differences) {
    const told = `${what}${by ? ` by ${by}` : ''}${at ? ` at ${at}` : ''}`;
    byTarget.set(target, [...(byTarget.get(target) ?? []), told]);
  }
  return new Map([...byTarget].map(([target, told]) => [target, told.join('; ')]));
}

const ACTIONS = {
  repaired: 'delivery.repaired',
  reported: 'delivery.drifted',
  failed: 'delivery.repair-failed',
  unknown: undefined,
} as const;

export interface Report {
  /** What differs still. */
  readonly open: readonly DriftFinding[];
  /** What was not known before. */
  readonly found: readonly DriftFinding[];
  readonly audit: readonly AuditEvent[];
}

/** A look repeats what an earlier one saw, and tells it once. */
export function reportOf(
  policy: string,
  findings: readonly DriftFinding[],
  before: readonly DriftFinding[],
): Report {
  const known = new Set(before.map(({ target, what, outcome }) => `${target}|${what}|${outcome}`));
  const open = findings.filter(({ outcome }) => outcome !== 'repaired');
  const found = findings.filter(
    ({ target, what, outcome }) =>
      outcome !== 'unknown' && (outcome === 'repaired' || !known.has(`${target}|${what}|${outcome}`)),
  );
  const audit = found.flatMap(({ target, what, outcome, why }): AuditEvent[] => {
    const action = ACTIONS[outcome];
    if (!action) return [];
    const detail = { target, what, ...(why === undefined ? {} : { why }) };
    return [{ actor: 'drift', action, subject: `RotationPolicy ${policy}`, detail }];
  });
  return { open, found, audit };
}

import type { DriftFinding, DriftView } from '../../ledger/drift.ts';
import type { PolicySpec } from '../manifests/manifest.ts';

/** What people see of a policy's deliveries between rotations: sentences, with names and never a value. */
export interface DriftTold {
  readonly mode: 'repair' | 'report' | 'ignore';
  readonly checkedAt: Date | undefined;
  readonly nextCheckAt: Date | undefined;
  /** What differs now. */
  readonly open: readonly string[];
  /** The latest drift, and what became of it. */
  readonly last: readonly string[];
  readonly lastAt: Date | undefined;
}

export function driftTold(spec: Partial<PolicySpec>, view: DriftView | undefined): DriftTold {
  const mode = spec.drift ?? 'repair';
  const looked = mode === 'ignore' ? undefined : view;
  return {
    mode,
    checkedAt: looked?.checkedAt,
    nextCheckAt: looked?.nextCheckAt,
    open: (looked?.open ?? []).map(sentence),
    last: (view?.last ?? []).map(sentence),
    lastAt: view?.lastAt,
  };
}

const OUTCOMES = {
  repaired: 'repaired',
  reported: 'not repaired',
  failed: 'could not be repaired',
  unknown: 'could not be looked at',
} as const;

function sentence({ target, what, outcome, why }: DriftFinding): string {
  return `${target}: ${what} (${OUTCOMES[outcome]}${why === undefined ? '' : `: ${why}`})`;
}

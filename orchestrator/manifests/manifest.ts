import type { RolloutLimits } from '../../workers/saga/spec.ts';
import type { RunbookStep } from '../incidents/runbook-schema.ts';
import type { Schedule } from '../schedule/schedule.ts';

export const API_VERSION = 'rotor.dev/v1alpha1';

export const KINDS = ['RotationPolicy', 'Provider', 'Store', 'Runbook'] as const;
export type Kind = (typeof KINDS)[number];

/** Where a manifest was written, for messages. `line` counts from 1. */
export interface Source {
  readonly file: string;
  readonly line: number;
}

/** One entry of a keyed union, its spec as written: whoever opens it parses it by the kind's own schema. */
export interface KindSpec {
  readonly kind: string;
  readonly spec: unknown;
}

export interface PolicySpec {
  /** Label `environment` of the manifest: runbooks have conditions on it. */
  readonly environment?: string | undefined;
  /** Name of a Provider in the same namespace; absent for kinds without a provider. */
  readonly provider?: string | undefined;
  readonly credential: KindSpec;
  /** JSON document of the credential that consumers use today, to be adopted by the first rotation. */
  readonly initialFrom?: { readonly file: string } | undefined;
  readonly store: { readonly name: string; readonly path: string };
  readonly deliver: readonly KindSpec[];
  /** What is done about a delivery that somebody else changed between rotations. */
  readonly drift?: 'repair' | 'report' | 'ignore' | undefined;
  readonly consumers: readonly (KindSpec & { readonly name: string; readonly wave?: number | undefined })[];
  readonly rollout?: RolloutLimits | undefined;
  readonly schedule?: Schedule | undefined;
  readonly settle: {
    readonly graceMs: number;
    readonly evidence: 'sessions' | 'time-only';
    readonly timeoutMs: number;
    readonly onTimeout: 'roll-back' | 'needs-human';
  };
  /** How long a whole rotation may take. */
  readonly deadlineMs: number;
  /** Names of policies in the same namespace, and the least distance to the end of their rotations. */
  readonly apart?: { readonly from: readonly string[]; readonly atLeastMs: number } | undefined;
  readonly suspend: boolean;
  /** What an incident does about it; the built-in runbook when absent. */
  readonly onCompromise?: { readonly runbook: string } | undefined;
}

export interface ProviderSpec extends KindSpec {
  /** At most so many rotations at this provider at once. */
  readonly maxConcurrent?: number | undefined;
}

interface Described<K extends Kind, Spec> {
  readonly kind: K;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Spec;
  readonly source: Source;
}

export type PolicyManifest = Described<'RotationPolicy', PolicySpec>;
export type ProviderManifest = Described<'Provider', ProviderSpec>;
export type StoreManifest = Described<'Store', KindSpec>;
export type RunbookManifest = Described<'Runbook', { readonly steps: readonly RunbookStep[] }>;
export type Manifest = PolicyManifest | ProviderManifest | StoreManifest | RunbookManifest;

/** What makes a manifest itself: `RotationPolicy shop/orders-db`. */
export function manifestKey(manifest: {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}): string {
  return `${manifest.kind} ${manifest.namespace}/${manifest.name}`;
}

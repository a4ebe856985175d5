import { isDeepStrictEqual } from 'node:util';

export type ConditionType = 'Accepted' | 'Ready' | 'Rotating';

/** A condition as it is decided. */
export interface Verdict {
  readonly type: ConditionType;
  readonly status: 'True' | 'False';
  /** One word for programs, in CamelCase as the API server wants it. */
  readonly reason: string;
  readonly message: string;
}

/** A condition as it is written. */
export interface Condition extends Verdict {
  readonly observedGeneration: number;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

export type PolicyState =
  | 'new'
  | 'current'
  | 'rotating'
  | 'rolled-back'
  | 'needs-human'
  | 'suspended'
  | 'paused'
  | 'invalid';

/** `status` of a custom resource; charts/rotor/crds say what each field means. */
export interface Status {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly type?: string;
  readonly state?: PolicyState;
  readonly lastRotation?: { readonly id: string; readonly state: string; readonly endedAt?: string };
  readonly lastRotatedAt?: string;
  readonly nextRotationAt?: string;
  readonly credentialVersion?: string;
  readonly lastRotateNow?: string;
}

const LONGEST_MESSAGE = 8_192;

/** Verdicts as conditions: the time of a condition stays while its status does. */
export function conditionsOf(
  verdicts: readonly Verdict[],
  before: readonly Condition[] | undefined,
  generation: number,
  now: Date,
): readonly Condition[] {
  return verdicts.map((verdict) => {
    const was = before?.find(({ type }) => type === verdict.type);
    return {
      ...verdict,
      message: verdict.message.slice(0, LONGEST_MESSAGE),
      observedGeneration: generation,
      lastTransitionTime: was && was.status === verdict.status ? was.lastTransitionTime : instant(now),
    };
  });
}

/** Whether a status says the same, whatever the order of its fields. */
export function saysTheSame(before: Partial<Status>, after: Status): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(before)), JSON.parse(JSON.stringify(after)));
}

/** As Kubernetes writes times: without fractions of a second. */
export function instant(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

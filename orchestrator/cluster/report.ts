import type { Call } from '../../core/call.ts';
import type { Clock } from '../../core/clock.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import type { Cluster } from '../../core/kubernetes/cluster.ts';
import type { Logger } from '../../core/log.ts';
import { API_VERSION } from '../manifests/manifest.ts';
import type { CustomResource } from './custom-resource.ts';
import { eventOf, tell } from './events.ts';
import { accepted, type PolicyFacts, policyStatus } from './policy-status.ts';
import { keyOf, type Reading } from './reading.ts';
import { conditionsOf, type Status, saysTheSame } from './status.ts';
import { type Happening, refusalHappenings, rotationHappenings } from './transitions.ts';

/** `stale`: the object has changed since it was read, so that nothing was written. */
export type Reported = 'written' | 'unchanged' | 'stale';

/** Tells custom resources what became of them. */
export interface Reporter {
  policy(facts: PolicyFacts): Promise<Reported>;
  /** A provider or a store. */
  other(resource: CustomResource, reading: Reading): Promise<Reported>;
}

export interface ReporterOptions {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Logger;
  readonly call: () => Call;
}

/** Writes Events first and the status after them: a crash between them repeats the Events, whose names are the same. */
export function reporterTo(options: ReporterOptions): Reporter {
  const { clock } = options;
  return {
    policy: async (facts) => {
      const status = policyStatus(facts, clock.now());
      const happenings = [...refusalHappenings(facts.resource.status, status), ...rotationHappenings(facts)];
      return write(options, facts.resource, status, happenings);
    },
    other: async (resource, reading) => {
      const status = otherStatus(resource, reading, clock.now());
      return write(options, resource, status, refusalHappenings(resource.status, status));
    },
  };
}

/** The status of a provider or a store. */
export function otherStatus(resource: CustomResource, reading: Reading, now: Date): Status {
  const verdict = accepted({ reading, outlook: undefined });
  const verdicts = [verdict, { ...verdict, type: 'Ready' as const }];
  const { spec } = reading.accepted ? reading.manifest : { spec: undefined };
  return {
    observedGeneration: resource.generation,
    conditions: conditionsOf(verdicts, resource.status.conditions, resource.generation, now),
    ...(spec && 'kind' in spec ? { type: spec.kind } : {}),
  };
}

async function write(
  { cluster, clock, log, call }: ReporterOptions,
  resource: CustomResource,
  status: Status,
  happenings: readonly Happening[],
): Promise<Reported> {
  for (const happening of happenings) {
    await tell(call(), cluster, eventOf(resource, happening, clock.now())).catch((thrown) => {
      const error = asRotorError(thrown, 'writing an Event');
      // An Event is a courtesy: what it tells is in the status and in the ledger too.
      log.warn({ err: error, object: keyOf(resource) }, 'an Event could not be written');
    });
  }
  if (saysTheSame(resource.status, status)) return 'unchanged';
  const { kind, namespace, name, resourceVersion } = resource;
  try {
    await cluster.applyStatus(call(), {
      apiVersion: API_VERSION,
      kind,
      // Refused when the object has changed since: what is told then belongs to what it says now.
      metadata: { namespace, name, resourceVersion },
      status,
    });
    return 'written';
  } catch (error) {
    const code = error instanceof RotorError ? error.code : undefined;
    if (code !== 'cluster.not-found' && code !== 'cluster.conflict') throw error;
    return 'stale';
  }
}

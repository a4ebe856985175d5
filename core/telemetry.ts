import { context, metrics, propagation, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import { RotorError } from './errors.ts';

/** The API only: without an SDK, registered at the entry points, all of this does nothing and costs nothing. */
const tracer = trace.getTracer('rotor');
const meter = () => metrics.getMeter('rotor');

/** Made when first used: an instrument that is made before the SDK starts never reports. */
export function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const SECONDS = { unit: 's' };
export const rotationsTotal = lazily(() =>
  meter().createCounter('rotor_rotations_total', { description: 'Rotations that ended, by state' }),
);
export const rotationDuration = lazily(() =>
  meter().createHistogram('rotor_rotation_duration_seconds', SECONDS),
);
export const stepDuration = lazily(() => meter().createHistogram('rotor_step_duration_seconds', SECONDS));
export const dueLag = lazily(() => meter().createGauge('rotor_due_lag_seconds', SECONDS));
export const credentialAge = lazily(() =>
  meter().createGauge('rotor_credential_age_seconds', {
    ...SECONDS,
    description: 'Age of the oldest credential in use',
  }),
);

export const driftTotal = lazily(() =>
  meter().createCounter('rotor_delivery_drift_total', {
    description: 'Delivered objects that somebody else changed or removed, by what became of it',
  }),
);

export const queueMessages = lazily(() =>
  meter().createCounter('rotor_queue_messages_total', {
    description: 'Messages of queues with events, by what became of them',
  }),
);
export const queueFailures = lazily(() =>
  meter().createCounter('rotor_queue_failures_total', {
    description: 'Times that a queue with events could not be listened to, by error code',
  }),
);

/** From milliseconds (the leaked one is disabled at once) to half an hour (consumers first). */
const INCIDENT_SECONDS = {
  ...SECONDS,
  advice: {
    explicitBucketBoundaries: [
      0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600,
    ],
  },
};
export const timeToContain = lazily(() =>
  meter().createHistogram('rotor_incident_time_to_contain_seconds', {
    ...INCIDENT_SECONDS,
    description: 'From the commit of a report until the leaked version was disabled and refused',
  }),
);
export const timeToRevoke = lazily(() =>
  meter().createHistogram('rotor_incident_time_to_revoke_seconds', {
    ...INCIDENT_SECONDS,
    description: 'From the commit of a report until the leaked version was refused in a real attempt',
  }),
);

type Attributes = Readonly<Record<string, string | number | boolean>>;

/**
 * Runs `work` in a span. Errors are recorded by code alone: foreign messages may quote what they were given.
 * @param traceparent the trace that it belongs to. Where the active span is part of it already (the job that the
 *   request put into the queue), that is the parent; else the request is, and the active span is linked.
 */
export function inSpan<T>(
  name: 'rotor.request' | 'rotor.rotation' | 'rotor.step',
  attributes: Attributes,
  work: (span: Span) => Promise<T>,
  traceparent?: string,
): Promise<T> {
  const around = trace.getSpanContext(context.active());
  const stored = traceparent ? propagation.extract(context.active(), { traceparent }) : context.active();
  const within = around?.traceId === trace.getSpanContext(stored)?.traceId;
  const parent = within ? context.active() : stored;
  const links = around && !within ? [{ context: around }] : [];
  return tracer.startActiveSpan(name, { attributes, links }, parent, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      const code = error instanceof RotorError ? error.code : 'internal.bug';
      span.setStatus({ code: SpanStatusCode.ERROR, message: code });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Runs `work` as part of a caller's trace, when it sent a W3C traceparent. */
export function withinTrace<T>(traceparent: string | undefined, work: () => T): T {
  if (!traceparent) return work();
  return context.with(propagation.extract(context.active(), { traceparent }), work);
}

/** W3C traceparent of the active span, to be stored where another process goes on. */
export function currentTraceparent(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}

import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';

export interface Telemetry {
  /** The metrics of this process in Prometheus' text format. */
  metrics(): Promise<string>;
  shutdown(): Promise<void>;
}

/**
 * Starts the OpenTelemetry SDK: metrics are always collected for `/metrics`; traces are exported when the usual
 * variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER) ask for it.
 * @param spanProcessors instead of those that the variables ask for
 */
export function startTelemetry(
  service: string,
  env: NodeJS.ProcessEnv,
  spanProcessors?: NodeSDKConfiguration['spanProcessors'],
): Telemetry {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const traced = Boolean(
    env.OTEL_EXPORTER_OTLP_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_TRACES_EXPORTER,
  );
  const sdk = new NodeSDK({
    serviceName: env.OTEL_SERVICE_NAME ?? service,
    metricReaders: [exporter],
    // Detected resources would put this process's command line on a public page.
    autoDetectResources: false,
    instrumentations: [],
    logRecordProcessors: [],
    ...(spanProcessors || !traced ? { spanProcessors: spanProcessors ?? [] } : {}),
  });
  sdk.start();
  const serializer = new PrometheusSerializer();
  return {
    metrics: async () => {
      const { resourceMetrics } = await exporter.collect();
      return serializer.serialize(resourceMetrics);
    },
    shutdown: () => sdk.shutdown().catch(() => undefined),
  };
}

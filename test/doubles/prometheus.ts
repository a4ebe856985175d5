import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PrometheusDouble {
  readonly url: string;
  /** Queries that were asked, in order. */
  readonly asked: readonly string[];
  /** What every query gives from now on: values of a vector. */
  gives(...values: readonly number[]): void;
  stop(): Promise<void>;
}

/** A double of a Prometheus server: a real HTTP server that answers instant queries as its HTTP API is documented. */
export async function startPrometheusDouble(): Promise<PrometheusDouble> {
  let values: readonly number[] = [1];
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const body = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://double');
    const query = body.get('query') ?? searchParams.get('query');
    const json = (status: number, answer: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    if (pathname !== '/api/v1/query') return response.writeHead(404).end('404 page not found\n');
    if (!query)
      return json(400, { status: 'error', errorType: 'bad_data', error: 'invalid parameter "query"' });
    asked.push(query);
    const result = values.map((value, index) => ({
      metric: { instance: `pod-${index}` },
      value: [Date.now() / 1000, String(value)],
    }));
    return json(200, { status: 'success', data: { resultType: 'vector', result } });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    gives: (...next) => {
      values = next;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SandboxApi, startApiServer } from '../../sandbox/api/server.ts';
import { aCall } from '../../test/setup/call.ts';
import { type Cluster, kubeconfigClusters } from './cluster.ts';

let api: SandboxApi;
let cluster: Cluster;
const open = new Set<Socket>();
let opened = 0;
const counting = createServer((client) => {
  opened += 1;
  open.add(client.on('close', () => open.delete(client)));
  const server = connect(Number(new URL(api.url).port), '127.0.0.1');
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const)
    one.on('error', () => undefined).on('close', () => other.destroy());
  client.pipe(server).pipe(client);
});

beforeAll(async () => {
  api = await startApiServer();
  await new Promise<void>((resolve) => counting.listen(0, '127.0.0.1', resolve));
  const address = counting.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const kubeconfig = api.kubeconfig().replace(api.url, `https://127.0.0.1:${port}`);
  cluster = await kubeconfigClusters((config) => config.loadFromString(kubeconfig), 2_000).open(undefined);
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  counting.close();
  await api.stop();
});

const ref = { apiVersion: 'v1', kind: 'Secret', namespace: 'default', name: 'db' };

test('requests go over connections that stay open', async () => {
  for (let n = 0; n < 20; n += 1) expect(await cluster.read(aCall(), ref)).toBeUndefined();
  // A second is opened where the first is still busy with the end of an answer.
  expect(opened).toBeLessThanOrEqual(2);
});

test('a request that is never answered is given up at its limit, and the API server sees it end', async () => {
  let meanwhile = 0;
  api.faults.before = ({ name }) => {
    if (name !== 'db') return 'ok';
    meanwhile = open.size;
    return 'hang';
  };
  await expect(cluster.read(aCall(), ref)).rejects.toMatchObject({
    code: 'call.timeout',
    message: 'get secret default/db in cluster sandbox: no answer in time',
  });
  expect(meanwhile).toBeGreaterThan(0);
  await expect.poll(() => open.size).toBeLessThan(meanwhile);
  api.faults.before = () => 'ok';
  expect(await cluster.read(aCall(), ref)).toBeUndefined();
});

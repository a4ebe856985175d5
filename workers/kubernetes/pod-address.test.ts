import { expect, test } from 'vitest';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { podUrl } from './pod-address.ts';

const pod = (podIP: string | undefined, annotations: Record<string, string> = {}): ClusterObject => ({
  metadata: { name: 'web-1', annotations },
  spec: { containers: [{ name: 'proxy' }, { name: 'web', ports: [{ name: 'http', containerPort: 8080 }] }] },
  status: { podIP },
});

test.each<[string, ClusterObject, number | string, string | undefined]>([
  ['by number', pod('10.0.0.7'), 9090, 'http://10.0.0.7:9090/health'],
  ['by the name that a container gives it', pod('10.0.0.7'), 'http', 'http://10.0.0.7:8080/health'],
  ['of IPv6', pod('fd00::7'), 8080, 'http://[fd00::7]:8080/health'],
  [
    'on a node whose pods share its address',
    pod('127.0.0.1', { 'sandbox.rotor.dev/ports': '{"8080":20123,"http":20123}' }),
    'http',
    'http://127.0.0.1:20123/health',
  ],
  ['but not before it has an address', pod(undefined), 8080, undefined],
  ['but not by a name that no container gives', pod('10.0.0.7'), 'metrics', undefined],
  [
    'whatever nonsense its annotation holds',
    pod('10.0.0.7', { 'sandbox.rotor.dev/ports': '{' }),
    8080,
    'http://10.0.0.7:8080/health',
  ],
])('a pod answers at its own address, %s', (_, each, port, url) => {
  expect(podUrl(each, { port, path: '/health' })).toBe(url);
});

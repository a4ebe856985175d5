import { expect, test } from 'vitest';
import { RotorError } from '../../../core/errors.ts';
import type { NewRead } from '../../../ledger/secret-reads.ts';
import { kubernetesAudit } from './kubernetes-audit.ts';

const settings = kubernetesAudit.settings.parse({ secretsFrom: [{ file: 'x' }] });

const event = (more: object = {}) => ({
  level: 'Metadata',
  auditID: 'a2c1d0b5-6b53-4f0e-9b52-5d4e1f0c9a11',
  stage: 'ResponseComplete',
  verb: 'get',
  user: { username: 'alice', groups: ['ops', 'system:authenticated'] },
  sourceIPs: ['10.0.0.9'],
  userAgent: 'kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9',
  objectRef: { resource: 'secrets', namespace: 'shop', name: 'db', apiVersion: 'v1' },
  responseStatus: { metadata: {}, code: 200 },
  requestReceivedTimestamp: '2026-06-01T12:00:00.123456Z',
  ...more,
});

function readsOf(...items: readonly unknown[]): readonly NewRead[] {
  const body = Buffer.from(JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', items }));
  const message = kubernetesAudit.read({ method: 'POST', headers: {}, body }, settings);
  if (message.kind !== 'reads') throw new Error(message.kind);
  return message.reads;
}

test('a read is known by who, as whom, from where, by what, when and with what answer', () => {
  expect(readsOf(event({ impersonatedUser: { username: 'bob' } }))).toEqual([
    {
      auditId: 'a2c1d0b5-6b53-4f0e-9b52-5d4e1f0c9a11',
      at: new Date('2026-06-01T12:00:00.123Z'),
      verb: 'get',
      namespace: 'shop',
      name: 'db',
      logicalName: 'db',
      user: 'alice',
      impersonated: 'bob',
      groups: ['ops', 'system:authenticated'],
      ips: ['10.0.0.9'],
      userAgent: 'kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9',
      code: 200,
    },
  ]);
});

test('of RequestResponse events, which hold the Secret itself, nothing but that is taken', () => {
  const secret = { kind: 'Secret', data: { password: 'cGw0bnRlZA==' }, stringData: { url: 'pl4nted' } };
  const told = {
    level: 'RequestResponse',
    requestObject: secret,
    responseObject: { kind: 'SecretList', items: [secret] },
    annotations: { 'example.com/body': 'pl4nted' },
  };
  expect(readsOf(event(told))).toEqual(readsOf(event()));
});

test.each<[string, object, Partial<NewRead> | undefined]>([
  [
    'a list of a namespace',
    { verb: 'list', objectRef: { resource: 'secrets', namespace: 'shop' } },
    { name: null },
  ],
  [
    'a watch of everything',
    { verb: 'watch', stage: 'ResponseStarted', objectRef: { resource: 'secrets' } },
    { namespace: null, name: null },
  ],
  [
    'one of a Secret per version',
    { objectRef: { resource: 'secrets', namespace: 'shop', name: 'db-0123456789ab' } },
    { name: 'db-0123456789ab', logicalName: 'db' },
  ],
  ['a refusal', { responseStatus: { code: 403, reason: 'Forbidden' } }, { code: 403 }],
  ['a user of a certificate', { user: { username: 'CN=alice,O=ops' } }, { user: 'CN=alice,O=ops' }],
  [
    "kubectl's own build, as it really calls itself",
    { userAgent: 'kubectl/v1.36.3 (linux/amd64) kubernetes/$Format' },
    { userAgent: 'kubectl/v1.36.3 (linux/amd64) kubernetes/$Format' },
  ],
  ['a user that is no plain text', { user: { username: 'a"b' } }, { user: 'unnamed' }],
  ['an agent that is no plain text', { userAgent: 'a\nb' }, { userAgent: null }],
  ['a long agent', { userAgent: 'a'.repeat(500) }, { userAgent: 'a'.repeat(100) }],
  ['addresses that are none', { sourceIPs: ['<x>', '2001:db8::1'] }, { ips: ['2001:db8::1'] }],
  [
    'groups without end',
    { user: { username: 'a', groups: Array(500).fill('g') } },
    { groups: Array(10).fill('g') },
  ],
  ['a write', { verb: 'update' }, undefined],
  ['a request that has just begun', { stage: 'RequestReceived' }, undefined],
  ['another resource', { objectRef: { resource: 'configmaps', namespace: 'shop', name: 'db' } }, undefined],
  [
    'Secrets of another group',
    { objectRef: { resource: 'secrets', apiGroup: 'example.com', namespace: 'shop', name: 'db' } },
    undefined,
  ],
  [
    'a name that is none',
    { objectRef: { resource: 'secrets', namespace: 'shop', name: '../db' } },
    undefined,
  ],
])('%s', (_what, more, kept) => {
  expect(readsOf(event(more))).toMatchObject(kept ? [kept] : []);
});

test('one strange event does not lose the others of its batch', () => {
  expect(readsOf('strange', event({ auditID: 7 }), event(), null)).toHaveLength(1);
});

test.each([{ kind: 'EventList', apiVersion: 'audit.k8s.io/v1beta1', items: [] }, { kind: 'Event' }, []])(
  'what is no batch is malformed: %j',
  (body) => {
    const request = { method: 'POST', headers: {}, body: Buffer.from(JSON.stringify(body)) };
    expect(() => kubernetesAudit.read(request, settings)).toThrow(RotorError);
  },
);

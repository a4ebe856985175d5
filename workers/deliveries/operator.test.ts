import { expect, test } from 'vitest';
import type { ClusterObject } from '../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../core/secret.ts';
import { aCall } from '../../test/setup/call.ts';
import { askedSince, FORCE_SYNC, nextForceSync, troubleOf } from '../kubernetes/external-secrets.ts';
import { stillMissing } from './operator.ts';

const ref = { apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', namespace: 'shop', name: 'db' };
const asked = { ref, target: 'externalsecret shop/db', operator: 'External Secrets', timeout: '5m' };
const failing = (message: string): ClusterObject => ({
  status: { conditions: [{ type: 'Ready', status: 'False', reason: 'SecretSyncedError', message }] },
});
const credential = {
  versionId: 'v1',
  identity: '',
  fields: {},
  secrets: { password: SecretValue.of('hunter2!') },
};
const ago = (agoMs: number) => new Date(Date.now() - agoMs);

test('what the operator says is told while it is waited for, and when its time is over', () => {
  const trouble = troubleOf(failing('store "vault" is not ready'), credential);
  expect(stillMissing(aCall(), asked, ago(1_000), 'secret shop/db: it does not exist yet', trouble)).toEqual({
    notYet:
      'externalsecret shop/db: secret shop/db: it does not exist yet; External Secrets says SecretSyncedError: store "vault" is not ready',
  });
  expect(() => stillMissing(aCall(), asked, ago(301_000), 'it lacks', trouble)).toThrow(
    expect.objectContaining({
      code: 'delivery.failed',
      kind: 'retryable',
      message: expect.stringMatching(
        /SecretSyncedError: store "vault" is not ready, 5m 1s after it was asked$/,
      ),
      hint: expect.stringContaining('kubectl -n shop describe externalsecret db'),
    }),
  );
});

test('a message of the operator that quotes the secret is left out, and a long one is cut', () => {
  expect(troubleOf(failing('cannot parse "hunter2!"'), credential)).toBe(
    'SecretSyncedError: its message has the secret in it',
  );
  expect(troubleOf(failing('x'.repeat(1_000)), credential)).toHaveLength('SecretSyncedError: '.length + 300);
  expect(
    troubleOf({ status: { conditions: [{ type: 'Ready', status: 'True' }] } }, credential),
  ).toBeUndefined();
});

test('patience begins anew with what was there and has gone, and not with what has been waited for all along', () => {
  const MINUTE = 60_000;
  const begin = Date.parse('2026-11-21T10:00:00.000Z');
  const at = (minutes: number) => new Date(begin + minutes * MINUTE);
  const since = (told: string, now: Date) =>
    askedSince({ metadata: { annotations: { [FORCE_SYNC]: told } } }, 'v1', now);
  const told = 'v1 since 2026-11-21T10:00:00.000Z';
  expect(since(told, at(1))).toEqual(at(0));
  expect(since(`${told} again 12`, at(7))).toEqual(at(0));
  expect(since(`${told} again 12`, at(7.6))).toEqual(at(7.6));
  const anew = nextForceSync(told, 'v1', at(120).getTime());
  expect(anew.value).toBe('v1 since 2026-11-21T12:00:00.000Z');
  expect(since(anew.value, at(121))).toEqual(at(120));
});

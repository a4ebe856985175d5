import { describe, expect, test } from 'vitest';
import type { Credential } from '../../../core/credential.ts';
import type { ClusterObject } from '../../../core/kubernetes/cluster.ts';
import { SecretValue } from '../../../core/secret.ts';
import { dataWrittenMs, lacks } from '../../kubernetes/copied.ts';
import { nextForceSync } from '../../kubernetes/external-secrets.ts';
import { copierOf } from './copiers.ts';
import { reloaderObstacle } from './reloader.ts';
import { delegatedSpec } from './spec.ts';

const options = { autoReloadAll: false, timeoutMs: 600_000 };
const AUTO = { 'reloader.stakater.com/auto': 'true' };
const named = (names: string) => ({ 'secret.reloader.stakater.com/reload': names });

const reading = (annotations: object, podAnnotations: object = {}, reads = 'db'): ClusterObject => ({
  kind: 'Deployment',
  metadata: { name: 'web', annotations: { ...annotations } },
  spec: {
    template: {
      metadata: { annotations: podAnnotations },
      spec: { containers: [{ name: 'web', envFrom: [{ secretRef: { name: reads } }] }] },
    },
  },
});
const secret = (annotations: object = {}): ClusterObject => ({
  metadata: { name: 'db', annotations: { ...annotations } },
});

describe('Reloader restarts a workload', () => {
  test.each<[string, ClusterObject, ClusterObject, RegExp | undefined]>([
    ['that it is to watch', reading(AUTO), secret(), undefined],
    ['for Secrets only', reading({ 'secret.reloader.stakater.com/auto': 'true' }), secret(), undefined],
    ['by the name of the Secret', reading(named('other, db')), secret(), undefined],
    ['by a name with a wildcard', reading(named('d.*')), secret(), undefined],
    ['by name though it reads another', reading(named('db'), {}, 'other'), secret(), undefined],
    ['whose template has the annotation', reading({}, AUTO), secret(), undefined],
    [
      'that searches, for a Secret that matches',
      reading({ 'reloader.stakater.com/search': 'true' }),
      secret({ 'reloader.stakater.com/match': 'true' }),
      undefined,
    ],
    ['but not without any annotation', reading({}), secret(), /no annotation/],
    [
      'but not when told not to',
      reading({ 'reloader.stakater.com/auto': 'false' }),
      secret(),
      /no annotation/,
    ],
    ['but not for the name of another', reading(named('db-2')), secret(), /no annotation/],
    ['but not by a pattern that is not understood', reading(named('(d+)+b')), secret(), /no annotation/],
    ['but not for a Secret that it does not read', reading(AUTO, {}, 'other'), secret(), /doesn't read/],
    [
      'but not for a Secret that is ignored',
      reading(AUTO),
      secret({ 'reloader.stakater.com/ignore': 'true' }),
      /ignores secret db/,
    ],
    [
      'but not for one that is left out',
      reading({ ...AUTO, 'secrets.exclude.reloader.stakater.com/reload': 'a,db' }),
      secret(),
      /leaves secret db out/,
    ],
    [
      'but not for one that does not match',
      reading({ 'reloader.stakater.com/search': 'true' }),
      secret(),
      /lacks the annotation/,
    ],
    [
      'but the template does not count when the workload itself says something',
      reading(named('other'), AUTO),
      secret(),
      /no annotation/,
    ],
    [
      'but not within the time when it pauses longer',
      reading({ ...AUTO, 'deployment.reloader.stakater.com/pause-period': '10m' }),
      secret(),
      /pauses it for 10m/,
    ],
  ])('%s', (_, workload, object, obstacle) => {
    const seen = reloaderObstacle(workload, object, 'db', options);
    if (obstacle) expect(seen).toMatch(obstacle);
    else expect(seen).toBeUndefined();
  });

  test('without an annotation where the policy says that it restarts all', () => {
    expect(
      reloaderObstacle(reading({}), secret(), 'db', { ...options, autoReloadAll: true }),
    ).toBeUndefined();
    const told = reading({ 'reloader.stakater.com/auto': 'false' });
    expect(reloaderObstacle(told, secret(), 'db', { ...options, autoReloadAll: true })).toMatch(
      /no annotation/,
    );
  });
});

const base = { deployment: 'web', namespace: 'shop', secretName: 'db' };
const ready = { status: { conditions: [{ type: 'Ready', status: 'True', reason: 'SecretSynced' }] } };

describe('External Secrets copies', () => {
  const copier = copierOf(delegatedSpec.parse({ ...base, to: 'external-secrets' }));
  test.each<[string, object, RegExp | undefined]>([
    ['a Secret of its own name', { spec: { refreshInterval: '1h' }, ...ready }, undefined],
    ['only at changes', { spec: { refreshInterval: '0', refreshPolicy: 'OnChange' }, ...ready }, undefined],
    ['but not into another Secret', { spec: { target: { name: 'other' } }, ...ready }, /makes secret other/],
    ['but not into an immutable one', { spec: { target: { immutable: true } }, ...ready }, /immutable/],
    ['but not a second time', { spec: { refreshPolicy: 'CreatedOnce' }, ...ready }, /CreatedOnce/],
    [
      'but not when it never refreshes',
      { spec: { refreshInterval: '0s' }, ...ready },
      /refreshInterval is 0/,
    ],
    [
      'but not when it fails already',
      { spec: {}, status: { conditions: [{ type: 'Ready', status: 'False', reason: 'SecretSyncedError' }] } },
      /SecretSyncedError/,
    ],
  ])('%s', (_, object, obstacle) => {
    const seen = copier?.obstacle(object);
    if (obstacle) expect(seen).toMatch(obstacle);
    else expect(seen).toBeUndefined();
  });
});

test('External Secrets is told once for each version, and again while the store has not given it', () => {
  const first = nextForceSync(undefined, 'v1', 0);
  expect(first).toEqual({ value: 'v1 since 1970-01-01T00:00:00.000Z', sinceMs: 0 });
  expect(nextForceSync(first.value, 'v1', 29_999)).toEqual(first);
  const again = nextForceSync(first.value, 'v1', 61_000);
  expect(again).toEqual({ value: `${first.value} again 2`, sinceMs: 0 });
  expect(nextForceSync(again.value, 'v1', 62_000)).toEqual(again);
  expect(nextForceSync(again.value, 'v0', 70_000).sinceMs).toBe(70_000);
  expect(nextForceSync('1763722200', 'v0', 70_000).sinceMs).toBe(70_000);
});

describe("Vault's operator copies and restarts", () => {
  const copier = copierOf(delegatedSpec.parse({ ...base, to: 'vault-secrets-operator' }));
  const spec = {
    destination: { name: 'db' },
    refreshAfter: '30s',
    rolloutRestartTargets: [{ kind: 'Deployment', name: 'web' }],
  };
  test.each<[string, object, RegExp | undefined]>([
    ['what it was told to', spec, undefined],
    [
      'but not a workload that it was not told',
      { ...spec, rolloutRestartTargets: [] },
      /don't name Deployment web/,
    ],
    ['but not into another Secret', { ...spec, destination: { name: 'x' } }, /makes secret x/],
    ['but not when it never looks again', { ...spec, refreshAfter: undefined }, /never looks again/],
    ['but not when it compares nothing', { ...spec, hmacSecretData: false }, /restarts nobody/],
    ['but not from one version for ever', { ...spec, type: 'kv-v2', version: 3 }, /copies version 3/],
  ])('%s', (_, found, obstacle) => {
    const seen = copier?.obstacle({ spec: found });
    if (obstacle) expect(seen).toMatch(obstacle);
    else expect(seen).toBeUndefined();
  });
});

describe('a copied Secret', () => {
  const credential: Credential = {
    versionId: 'v1',
    identity: 'app',
    fields: { username: 'app', host: 'db' },
    secrets: { password: SecretValue.of('marker') },
  };
  const holding = (data: Record<string, string>): ClusterObject => ({
    data: Object.fromEntries(
      Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    ),
  });
  test.each<[string, ClusterObject | undefined, Record<string, string> | undefined, RegExp | undefined]>([
    [
      'carries the version',
      holding({ username: 'app', password: 'marker', other: 'x' }),
      undefined,
      undefined,
    ],
    ['carries it under other keys', holding({ DB_PASS: 'marker' }), { DB_PASS: 'password' }, undefined],
    ['does not exist', undefined, undefined, /does not exist/],
    [
      'has the password of before',
      holding({ password: 'before' }),
      undefined,
      /key password has another value/,
    ],
    [
      'has the new password with another user',
      holding({ username: 'x', password: 'marker' }),
      undefined,
      /key username/,
    ],
    ['has no secret to compare', holding({ username: 'app' }), undefined, /none of its keys \(username\)/],
    ['has a key too few', holding({ password: 'marker' }), { PASS: 'password' }, /key PASS/],
    [
      'is to equal a field that there is not',
      holding({ password: 'marker' }),
      { password: 'password', x: 'nope' },
      /key x/,
    ],
  ])('%s', (_, object, keys, lack) => {
    const seen = lacks(object, credential, keys);
    if (lack) expect(seen).toMatch(lack);
    else expect(seen).toBeUndefined();
    expect(seen ?? '').not.toMatch(/marker|before/);
  });

  test('was written when its data was, not when others noted something at it', () => {
    const entry = (manager: string, time: Date, fieldsV1: object) => ({ manager, time, fieldsV1 });
    const object: ClusterObject = {
      metadata: {
        managedFields: [
          entry('external-secrets', new Date('2026-11-01T12:00:00Z'), { 'f:data': {} }),
          entry('kubectl', new Date('2026-11-01T13:00:00Z'), { 'f:metadata': {} }),
        ],
      },
    };
    expect(dataWrittenMs(object)).toBe(Date.parse('2026-11-01T12:00:00Z'));
  });
});

import { expect, test } from 'vitest';
import type { RotorError } from '../errors.ts';
import { type Asked, clusterError } from './cluster-errors.ts';

const patch: Asked = {
  verb: 'patch',
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'shop',
  name: 'web',
  cluster: 'eu',
};
const list: Asked = { ...patch, verb: 'list', apiVersion: 'v1', kind: 'Pod', name: '' };
const answer = (code: number, message = '', extra: object = {}) => ({
  code,
  body: JSON.stringify({ kind: 'Status', reason: 'Whatever', message, ...extra }),
});
const broken = (code: string) => Object.assign(new TypeError('fetch failed'), { cause: { code } });

test.each<[string, unknown, Asked, string, string, string]>([
  ['conflict', answer(409), patch, 'cluster.conflict', 'retryable', 'patch deployment shop/web'],
  ['expired', answer(410), list, 'cluster.unavailable', 'retryable', 'list pod shop'],
  ['too busy', answer(429), patch, 'cluster.throttled', 'retryable', 'patch deployment shop/web'],
  ['failed reading', answer(500), list, 'cluster.unavailable', 'retryable', '500 to list pod shop'],
  [
    'failed writing',
    answer(500),
    patch,
    'cluster.unavailable',
    'ambiguous',
    '500 to patch deployment shop/web',
  ],
  ['overloaded', answer(503), patch, 'cluster.unavailable', 'retryable', '503 to patch deployment shop/web'],
  ['missing', answer(404), patch, 'cluster.not-found', 'terminal', 'no deployment shop/web to patch'],
  ['invalid', answer(422), patch, 'cluster.invalid', 'terminal', 'patch deployment shop/web as invalid'],
  ['unknown', answer(401), patch, 'cluster.refused', 'terminal', 'patch deployment shop/web'],
  ['away', broken('ECONNREFUSED'), patch, 'cluster.unavailable', 'retryable', 'patch deployment shop/web'],
  ['cut while reading', broken('ECONNRESET'), list, 'cluster.unavailable', 'retryable', 'list pod shop'],
  ['cut while writing', broken('ECONNRESET'), patch, 'cluster.unavailable', 'ambiguous', 'patch deployment'],
  ['untrusted', broken('SELF_SIGNED_CERT_IN_CHAIN'), list, 'cluster.refused', 'terminal', 'is not trusted'],
  ['outlived', broken('CERT_HAS_EXPIRED'), list, 'cluster.refused', 'terminal', 'certificate has expired'],
  ['a wrong clock', broken('CERT_NOT_YET_VALID'), list, 'cluster.refused', 'terminal', 'is not valid yet'],
  ['too large', answer(413), patch, 'cluster.invalid', 'terminal', 'the object is too large'],
  ['a mistake of ours', new TypeError('x is undefined'), list, 'internal.bug', 'ambiguous', 'list pod shop'],
])(
  '%s: the code says how to go on, the message names verb and object',
  (_what, thrown, asked, code, kind, text) => {
    const error: RotorError = clusterError(thrown, asked);
    expect(error).toMatchObject({ code, kind });
    expect(error.message).toContain(text);
  },
);

test('a missing permission: who lacks which verb on what, and how to grant it', () => {
  const message =
    'deployments.apps "web" is forbidden: User "system:serviceaccount:rotor:worker" cannot patch';
  const error = clusterError(answer(403, message), patch);
  expect(error.code).toBe('cluster.forbidden');
  expect(error.message).toBe(
    'cluster eu: system:serviceaccount:rotor:worker may not patch deployment shop/web',
  );
  expect(error.hint).toBe(
    'Grant system:serviceaccount:rotor:worker the verb "patch" on deployments of apps in namespace shop.',
  );
});

test('a namespace that is being deleted is no missing permission', () => {
  const message =
    'secrets "db" is forbidden: unable to create new content in namespace shop because it is being terminated';
  const error = clusterError(answer(403, message), { ...patch, verb: 'create' });
  expect(error).toMatchObject({ code: 'cluster.not-found', kind: 'terminal' });
  expect(error.message).toContain('namespace shop is being deleted');
});

test('the API server says for how long to wait', () => {
  const headers = { 'retry-after': '7' };
  expect(clusterError({ ...answer(429), headers }, patch).retryAfterMs).toBe(7_000);
  expect(clusterError(answer(429), patch).retryAfterMs).toBeUndefined();
  expect(clusterError({ ...answer(503), headers }, patch)).toMatchObject({
    code: 'cluster.unavailable',
    retryAfterMs: 7_000,
  });
  const inStatus = { details: { retryAfterSeconds: 2 } };
  expect(clusterError(answer(504, '', inStatus), list).retryAfterMs).toBe(2_000);
  expect(clusterError({ ...answer(503), headers: { 'retry-after': '999999999' } }, list).retryAfterMs).toBe(
    3_600_000,
  );
});

test('a namespace that is missing is named, and not the object that was to be made in it', () => {
  const details = { details: { name: 'shop', kind: 'namespaces' } };
  const error = clusterError(answer(404, 'namespaces "shop" not found', details), {
    ...patch,
    verb: 'create',
  });
  expect(error.message).toBe('cluster eu has no namespace shop to create deployment shop/web in');
});

test.each([
  [
    403,
    'admission webhook "validate.kyverno.svc-fail" denied the request: marker',
    'the admission webhook "validate.kyverno.svc-fail" refuses to patch deployment shop/web',
  ],
  [
    422,
    "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'team-label' with binding 'all' denied request: marker",
    'the ValidatingAdmissionPolicy "team-label" refuses',
  ],
  [
    403,
    'secrets "db" is forbidden: exceeded quota: small, requested: count/secrets=1, used: count/secrets=5',
    'the ResourceQuota shop/small refuses',
  ],
])(
  'admission (%i) is no missing permission: who refused is named, in none of its words',
  (code, message, told) => {
    const error = clusterError(answer(code, message), patch);
    expect(error).toMatchObject({ code: 'cluster.forbidden', kind: 'terminal' });
    expect(error.message).toContain(told);
    expect(error.hint).not.toContain('Grant');
    expect(JSON.stringify(error)).not.toContain('marker');
  },
);

test('what an object holds never gets into a message', () => {
  const causes = [
    { field: 'data.password', reason: 'FieldValueInvalid', message: 'Invalid value: "marker"' },
  ];
  const error = clusterError(answer(422, 'Invalid value: "marker"', { details: { causes } }), patch);
  expect(error.message).toContain('data.password (FieldValueInvalid)');
  expect(JSON.stringify(error)).not.toContain('marker');
});

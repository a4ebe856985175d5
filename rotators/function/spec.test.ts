import { expect, test } from 'vitest';
import { credentialSpec, providerSpec } from './spec.ts';

const python = { file: '/opt/f.py' };

test.each([
  ['one function', { python }],
  ["variables of AWS's templates", { python: { ...python, environment: { PASSWORD_LENGTH: '40' } } }],
  ['a key for a function elsewhere', { http: { url: 'https://f.example/' }, signingKeyFile: '/etc/key' }],
])('a provider may have %s', (_what, spec) => {
  expect(providerSpec.safeParse(spec).success).toBe(true);
});

test.each<readonly [string, object]>([
  ['no function', {}],
  ['two functions', { python, http: { url: 'https://f.example/' } }],
  ['an address that is none', { http: { url: 'ftp://f.example/' } }],
  ['a key that a program here gets anyway', { python, signingKeyFile: '/etc/key' }],
  ...[
    'AWS_REGION',
    'LD_PRELOAD',
    'PYTHONPATH',
    'NODE_OPTIONS',
    'PATH',
    'SECRETS_MANAGER_ENDPOINT',
    'https_proxy',
    'NO_PROXY',
    'ALL_PROXY',
    'REQUESTS_CA_BUNDLE',
    'CURL_CA_BUNDLE',
    'SSL_CERT_FILE',
    'GLIBC_TUNABLES',
  ].map((name) => [`the variable ${name}`, { python: { ...python, environment: { [name]: 'x' } } }] as const),
])('a provider may not have %s', (_what, spec) => {
  expect(providerSpec.safeParse(spec).success).toBe(false);
});

test('one user without overlap has to be acknowledged', () => {
  expect(credentialSpec.safeParse({ mode: 'single-user' }).success).toBe(false);
  expect(credentialSpec.parse({ mode: 'single-user', acknowledgeNoOverlap: true })).toMatchObject({
    identity: 'username',
    secrets: ['password'],
  });
});

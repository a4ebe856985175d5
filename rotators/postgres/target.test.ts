import { expect, test } from 'vitest';
import { providerSpec } from './spec.ts';
import { isThisMachine, targetOf, transportTo } from './target.ts';

const parse = (spec: object) => providerSpec.parse(spec);

test.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.1.2.3', true],
  ['::1', true],
  ['/run/postgresql', true],
  ['localhost.example', false],
  ['127.evil.example', false],
  ['127.0.0.1.nip.example', false],
  ['10.0.0.1', false],
])('%s is this machine: %s; TLS may be left out there only', async (host, local) => {
  expect(isThisMachine(host)).toBe(local);
  const target = targetOf(parse({ hosts: [{ host }], database: 'shop' }));
  expect(await transportTo(target, host)).toEqual(
    local ? { ssl: false, trusted: true } : { ssl: { rejectUnauthorized: true }, trusted: true },
  );
});

test('a connection whose certificate is not checked is not trusted with a plain password', async () => {
  for (const mode of ['require', 'disable'] as const) {
    const target = targetOf(parse({ hosts: [{ host: 'db.example' }], database: 'shop', tls: { mode } }));
    expect((await transportTo(target, 'db.example')).trusted).toBe(false);
  }
});

test('an authority to check by is never named in vain', () => {
  const tls = (fields: object) =>
    providerSpec.safeParse({ hosts: [{ host: 'db.example' }], database: 'shop', tls: fields });
  for (const mode of ['require', 'disable', 'verify-ca'])
    expect(tls({ mode, caFile: '/ca.pem' }).success).toBe(false);
  for (const fields of [{ caFile: '/ca.pem' }, { mode: 'verify-full', caFile: '/ca.pem' }])
    expect(tls(fields).success).toBe(true);
});

test('a Unix socket is not asked for TLS because of an authority that is named for other hosts', async () => {
  const hosts = [{ host: '/run/postgresql' }, { host: 'db.example' }];
  const target = targetOf(parse({ hosts, database: 'shop', tls: { caFile: '/ca.pem' } }));
  expect(await transportTo(target, '/run/postgresql')).toEqual({ ssl: false, trusted: true });
});

test.each([
  ['postgres://db.example:6432/shop', 'db.example', 6_432, 'shop'],
  ['postgresql://[fd00::1]/my%20shop', 'fd00::1', 5_432, 'my shop'],
])('%s names host, port and database', (url, host, port, database) => {
  expect(targetOf(parse({ url }))).toMatchObject({ hosts: [{ host, port }], database });
});

test('the policy may name another database than its provider', () => {
  expect(targetOf(parse({ url: 'postgres://db.example/shop' }), 'billing').database).toBe('billing');
});

test.each([
  'postgres://u:secret@db.example/shop',
  'postgres://u@db.example/shop',
  'postgres://db.example/shop?password=secret',
  'postgres://db.example/shop?sslmode=disable',
  'postgres:///shop',
  'mysql://db.example/shop',
])('%s is refused: nothing in a URL is silently ignored, no secret is written in a manifest', (url) => {
  const parsed = providerSpec.safeParse({ url });
  expect(parsed.success).toBe(false);
  expect(parsed.error?.issues[0]?.message).not.toContain('secret');
});

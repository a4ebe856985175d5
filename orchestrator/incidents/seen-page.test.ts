import { expect, test } from 'vitest';
import { seenSection } from './seen-page.ts';

const at = '2026-06-01T12:00:00.000Z';

test('the page tells who used it, who read it and what could not be seen, and takes no text for markup', () => {
  const page = String(
    seenSection(
      [
        {
          policy: 'shop/db',
          kind: 'sessions',
          at,
          facts: {
            identity: 'shop_blue',
            sessions: 2,
            seen: [{ client: '203.0.113.9', application: '<script>psql', since: at }, {}],
          },
        },
        { policy: 'shop/db', kind: 'readers', at, facts: {}, problem: 'it may not list roles' },
        { policy: 'shop/db', kind: 'pods', at, facts: { note: 'it is delivered to no Secret' } },
        { policy: 'shop/db', kind: 'attempt', at, facts: { outcome: 'refused', what: 'tried and refused' } },
      ],
      [
        {
          ...{ policy: 'shop/db', source: 'hook/cluster', auditId: 'a1', at, verb: 'list' as const },
          ...{ namespace: 'shop', name: null, user: 'alice', impersonated: 'bob', groups: [] },
          ...{ ips: ['10.0.0.9'], userAgent: 'kubectl', code: 200 },
        },
      ],
    ),
  );
  expect(page).toContain('2 open sessions of shop_blue were ended');
  expect(page).toContain('203.0.113.9');
  expect(page).toContain('&lt;script&gt;psql');
  expect(page).not.toContain('<script>');
  expect(page).toContain('It could not be seen: it may not list roles');
  expect(page).toContain('it is delivered to no Secret.');
  expect(page).toContain('tried and refused');
  expect(page).toMatch(/alice as bob<\/td><td>list shop\/all Secrets<\/td><td>10\.0\.0\.9/);
});

test('without any read it says that clusters tell only where they are asked to', () => {
  expect(String(seenSection([], []))).toMatch(/No cluster has told of a read/);
});

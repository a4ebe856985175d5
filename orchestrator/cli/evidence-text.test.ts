import { expect, test } from 'vitest';
import { evidenceText } from './evidence-text.ts';

test('each pod has its version, how that is known, readiness and start; the provider has the last word', () => {
  const startedAt = '2026-01-01T00:00:00Z';
  const text = evidenceText(
    {
      version: 'v1',
      consumers: [
        {
          consumer: 'web',
          healthy: true,
          version: 'restarted',
          detail: 'all pods started',
          pods: [
            { name: 'web-a', onVersion: true, ready: true, by: 'template', startedAt },
            { name: 'web-c', onVersion: true, ready: true, by: 'mounted', mounted: { db: 'x' }, startedAt },
            { name: 'web-b', onVersion: false, ready: false, by: 'started', startedAt },
          ],
        },
        { consumer: 'shop', healthy: true, version: 'reported', detail: 'reports version v1' },
      ],
      provider: { evidence: 'sessions', sessions: 0, at: new Date(startedAt) },
    },
    new Date('2026-01-01T00:03:00Z'),
  );
  expect(text.split('\n').map((line) => line.trimEnd())).toEqual([
    'evidence:',
    expect.stringMatching(/^CONSUMER +POD +VERSION +KNOWN BY +READY +STARTED$/),
    expect.stringMatching(/^web +web-a +v1 +its template names it +yes +3m ago$/),
    expect.stringMatching(/^web +web-c +v1 +the CSI driver has mounted it +yes +3m ago$/),
    expect.stringMatching(/^web +web-b +another +made after delivery +NO +3m ago$/),
    expect.stringMatching(/^shop +- +v1 +reported +yes +-$/),
    '  shop: reports version v1',
    '  provider: 0 sessions of the other credential',
  ]);
});

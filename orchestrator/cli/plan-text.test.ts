import { expect, test } from 'vitest';
import { planText } from './plan-text.ts';

test('a plan shows the consumers in the order of their waves, and the blast radius', () => {
  const text = planText({
    policy: 'shop/db',
    actions: ['make a new password'],
    warnings: ['not looked at: something'],
    consumers: [
      {
        consumer: 'all: deployment shop/web',
        workload: 'deployment shop/web',
        reads: ['env of container web', 'volume certs'],
        wave: 1,
        moves: 'rolling',
        pods: 3,
      },
      { consumer: 'canary', wave: 0, moves: 'reload' },
    ],
    readers: [
      {
        secret: 'shop/db',
        cluster: 'prod',
        readers: [{ subject: 'Group ops', verbs: ['get'], through: 'RoleBinding shop/b to Role r' }],
        indirect: { mount: 4, exec: 1, impersonate: 0, escalate: 0 },
        blindSpots: ['cluster prod: rotor may not list roles'],
      },
    ],
    problems: [{ code: 'rollout.unhealthy', what: 'web is paused', hint: 'Resume it.' }],
  });
  const lines = text.split('\n').map((line) => line.trimEnd());
  expect(lines).toEqual([
    'shop/db would:',
    '  - make a new password',
    '',
    expect.stringMatching(/^CONSUMER +READS IT BY +WAVE +MOVES +PODS$/),
    expect.stringMatching(/^canary +- +0 +reload +-$/),
    expect.stringMatching(/^deployment shop\/web +env of container web, volume certs +1 +rolling +3$/),
    '',
    'who else may read secret shop/db in cluster prod:',
    expect.stringMatching(/^WHO +VERBS +BY$/),
    expect.stringMatching(/^Group ops +get +RoleBinding shop\/b to Role r$/),
    '  besides these, 4 may make pods that mount it, 1 may run commands in pods that have it, 0 may act as others, 0 may give themselves more rights',
    '  not looked at: cluster prod: rotor may not list roles',
    '',
    'warning: not looked at: something',
    'problem rollout.unhealthy: web is paused',
    '  next: Resume it.',
  ]);
});

import { describe, expect, test } from 'vitest';
import type { Outlook, OutlookRotation } from '../../ledger/outlook.ts';
import type { Manifest } from '../manifests/manifest.ts';
import type { CustomResource } from './custom-resource.ts';
import { type PolicyFacts, policyStatus } from './policy-status.ts';
import type { Reading } from './reading.ts';
import { conditionsOf, type Status, saysTheSame } from './status.ts';
import { refusalHappenings, rotationHappenings } from './transitions.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute));
const NOW = at(50);

const rotation = (id: string, state: OutlookRotation['state'], more: Partial<OutlookRotation> = {}) => ({
  id,
  state,
  trigger: 'schedule' as const,
  requestedBy: 'scheduler',
  waitReason: undefined,
  newVersion: `v-${id}`,
  error: undefined,
  createdAt: at(10),
  endedAt: state === 'done' || state === 'rolled-back' || state === 'needs-human' ? at(11) : undefined,
  ...more,
});

const broken = { error: { code: 'rollout.unhealthy', what: 'consumer web is down', hint: 'Look.' } };

function facts(
  outlook: (Partial<Omit<Outlook, 'spec'>> & { readonly suspend?: boolean }) | undefined,
  resource: Partial<CustomResource> = {},
  reading: Reading = { accepted: true, manifest: {} as Manifest },
): PolicyFacts {
  const { suspend = false, ...rest } = outlook ?? {};
  return {
    resource: {
      kind: 'RotationPolicy',
      namespace: 'shop',
      name: 'db',
      uid: 'u',
      generation: 3,
      resourceVersion: '7',
      createdAt: at(0),
      spec: {},
      status: {},
      rotateNow: undefined,
      ...resource,
    },
    reading,
    outlook: outlook && {
      uid: 'p',
      namespace: 'shop',
      name: 'db',
      spec: { suspend },
      paused: false,
      nextDueAt: undefined,
      dueReason: undefined,
      replanning: false,
      lastRotatedAt: undefined,
      currentVersion: undefined,
      rotations: [],
      ...rest,
    },
    rotateNow: { answered: undefined },
  };
}

const refused: Reading = {
  accepted: false,
  reason: 'ManifestInvalid',
  problems: ['spec.x is wrong', 'spec.y too'],
};
const words = ({ conditions, state }: Status) => [
  state,
  ...conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`),
];

describe('the status of a policy', () => {
  test.each<[string, PolicyFacts, string[]]>([
    [
      'that was never rotated',
      facts({}),
      ['new', 'Accepted=True Applied', 'Ready=False NeverRotated', 'Rotating=False Idle'],
    ],
    [
      'whose first rotation runs',
      facts({ rotations: [rotation('a', 'running')] }),
      ['rotating', 'Accepted=True Applied', 'Ready=False NeverRotated', 'Rotating=True Running'],
    ],
    [
      'whose last rotation is done',
      facts({ rotations: [rotation('a', 'done')], lastRotatedAt: at(11) }),
      ['current', 'Accepted=True Applied', 'Ready=True Rotated', 'Rotating=False Idle'],
    ],
    [
      'that is ready stays so while the next rotation waits',
      facts({ rotations: [rotation('b', 'waiting', { waitReason: 'settling' }), rotation('a', 'done')] }),
      ['rotating', 'Accepted=True Applied', 'Ready=True Rotated', 'Rotating=True Waiting'],
    ],
    [
      'whose last rotation was rolled back',
      facts({
        rotations: [rotation('b', 'rolled-back', broken), rotation('a', 'done')],
        lastRotatedAt: at(1),
      }),
      ['rolled-back', 'Accepted=True Applied', 'Ready=False RolledBack', 'Rotating=False Idle'],
    ],
    [
      'whose next rotation runs is not ready before that is done',
      facts({ rotations: [rotation('b', 'queued'), rotation('a', 'rolled-back', broken)] }),
      ['rotating', 'Accepted=True Applied', 'Ready=False RolledBack', 'Rotating=True Queued'],
    ],
    [
      'whose rotation needs a human',
      facts({ rotations: [rotation('b', 'needs-human', broken), rotation('a', 'done')] }),
      ['needs-human', 'Accepted=True Applied', 'Ready=False NeedsHuman', 'Rotating=False NeedsHuman'],
    ],
    [
      'that is suspended',
      facts({ suspend: true, rotations: [rotation('a', 'done')] }),
      ['suspended', 'Accepted=True Applied', 'Ready=False Suspended', 'Rotating=False Idle'],
    ],
    [
      'that is paused',
      facts({ paused: true, rotations: [rotation('a', 'done')] }),
      ['paused', 'Accepted=True Applied', 'Ready=False Paused', 'Rotating=False Idle'],
    ],
    [
      'that can not be planned',
      facts({ dueReason: 'cannot be planned: its zone is gone', rotations: [rotation('a', 'done')] }),
      ['current', 'Accepted=True Applied', 'Ready=False NotPlanned', 'Rotating=False Idle'],
    ],
    [
      'that is refused',
      facts({ rotations: [rotation('a', 'done')] }, {}, refused),
      ['invalid', 'Accepted=False ManifestInvalid', 'Ready=False NotAccepted', 'Rotating=False Idle'],
    ],
    [
      'whose journal was pruned, but that was rotated',
      facts({ lastRotatedAt: at(1) }),
      ['current', 'Accepted=True Applied', 'Ready=True Rotated', 'Rotating=False Idle'],
    ],
  ])('%s', (_, given, expected) => {
    expect(words(policyStatus(given, NOW))).toEqual(expected);
  });

  test('names versions and times, of the next rotation only when one is planned', () => {
    const outlook = {
      rotations: [rotation('a', 'done')],
      lastRotatedAt: at(11),
      nextDueAt: at(59),
      currentVersion: 'v-a',
    };
    expect(policyStatus(facts(outlook), NOW)).toMatchObject({
      observedGeneration: 3,
      lastRotation: { id: 'a', state: 'done', endedAt: '2026-01-01T12:11:00Z' },
      lastRotatedAt: '2026-01-01T12:11:00Z',
      nextRotationAt: '2026-01-01T12:59:00Z',
      credentialVersion: 'v-a',
    });
    expect(policyStatus(facts({ ...outlook, paused: true }), NOW).nextRotationAt).toBeUndefined();
  });

  test('says every problem of a refused one, and whether an earlier one is in force', () => {
    const message = (given: PolicyFacts) => policyStatus(given, NOW).conditions[0]?.message;
    expect(message(facts(undefined, {}, refused))).toBe('spec.x is wrong; spec.y too');
    expect(message(facts({}, {}, refused))).toBe(
      'spec.x is wrong; spec.y too; what was accepted before stays in force',
    );
  });

  test('tells the person on call what happened and which command settles it', () => {
    const { conditions } = policyStatus(facts({ rotations: [rotation('b', 'needs-human', broken)] }), NOW);
    expect(conditions[1]?.message).toBe(
      'rotation b needs a human: consumer web is down (rollout.unhealthy). Look: rotor describe rotation/b; then: rotor resume rotation/b',
    );
  });

  test('keeps the time of a condition while its status stays, and says the same whenever it is decided', () => {
    const given = facts({ rotations: [rotation('a', 'done')] });
    const first = policyStatus(given, at(20));
    const again = policyStatus({ ...given, resource: { ...given.resource, status: first } }, NOW);
    expect(saysTheSame(first, again)).toBe(true);
    const [turned] = conditionsOf(
      [{ type: 'Accepted', status: 'False', reason: 'X', message: 'x' }],
      first.conditions,
      4,
      NOW,
    );
    expect(turned).toMatchObject({ lastTransitionTime: '2026-01-01T12:50:00Z', observedGeneration: 4 });
  });
});

describe('what is told as Events', () => {
  const told = (given: PolicyFacts) => rotationHappenings(given).map(({ reason, key }) => `${reason} ${key}`);
  const knows = (id: string, state: string): Partial<CustomResource> => ({
    status: { lastRotation: { id, state } },
  });
  const ended = at(11).getTime();

  test.each<[string, PolicyFacts, string[]]>([
    ['nothing when nothing happened', facts({ rotations: [rotation('a', 'done')] }, knows('a', 'done')), []],
    ['a start', facts({ rotations: [rotation('a', 'queued')] }), ['RotationStarted a']],
    [
      'start and end of one that ran between two looks',
      facts({ rotations: [rotation('a', 'done')] }),
      ['RotationStarted a', `RotationDone a ${ended}`],
    ],
    [
      'the end of the known one before the start of the next',
      facts({ rotations: [rotation('b', 'running'), rotation('a', 'rolled-back')] }, knows('a', 'running')),
      [`RotationRolledBack a ${ended}`, 'RotationStarted b'],
    ],
    [
      'each of several, oldest first',
      facts({ rotations: [rotation('c', 'running'), rotation('b', 'done')] }, knows('a', 'done')),
      ['RotationStarted b', `RotationDone b ${ended}`, 'RotationStarted c'],
    ],
    [
      'a call for a human again after it was resumed',
      facts({ rotations: [rotation('a', 'needs-human', { endedAt: at(12) })] }, knows('a', 'running')),
      [`RotationNeedsHuman a ${at(12).getTime()}`],
    ],
    [
      'nothing of the time before there was a custom resource',
      facts({ rotations: [rotation('a', 'done')] }, { createdAt: at(30) }),
      [],
    ],
    [
      'nothing that only moved on',
      facts({ rotations: [rotation('a', 'running')] }, knows('a', 'queued')),
      [],
    ],
  ])('%s', (_, given, expected) => {
    expect(told(given)).toEqual(expected);
  });

  test('a refusal once, and again when it is another', () => {
    const status = policyStatus(facts({}, {}, refused), NOW);
    expect(refusalHappenings({}, status).map(({ reason }) => reason)).toEqual(['ManifestInvalid']);
    expect(refusalHappenings(status, status)).toEqual([]);
    const other = policyStatus(facts({}, {}, { ...refused, problems: ['spec.z'] }), NOW);
    expect(refusalHappenings(status, other)).toHaveLength(1);
    expect(refusalHappenings(status, policyStatus(facts({}), NOW))).toEqual([]);
  });
});

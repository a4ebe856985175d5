import { describe, expect, test } from 'vitest';
import type { RotationJson } from '../../orchestrator/cli/follow.ts';
import type { Pod } from '../controllers/client/wire.ts';
import type { IncidentFacts } from './incident.ts';
import type { Report } from './reports.ts';
import { broken, type Chapter, type Facts, podsOf, rolloutOf, summaryOf, summaryText } from './summary.ts';
import { JOBS, MAIL, WEB } from './workloads.ts';

function pod(name: string, uid = name, restartCount = 0): Pod {
  const status = { restartCount } as NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];
  return {
    metadata: {
      name,
      namespace: 'shop',
      uid,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { containers: [] },
    status: {
      startTime: '2026-01-01T00:00:00Z',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [status],
    },
  };
}

const named = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => pod(`${prefix}-${index}`));

function rotation(fields: Partial<RotationJson>): RotationJson {
  const proof = { oldRefused: true, newAccepted: true, at: '2026-01-01T00:00:00Z' };
  return { id: 'r', state: 'done', recovered: false, steps: [], proof, ...fields } as unknown as RotationJson;
}

function report(fields: Partial<Report>): Report {
  const counts = { queries: 500, failures: 0, ended: true };
  return { pod: 'web-0', app: 'web', user: 'web_a', version: 'w2', ...counts, ...fields };
}

function leak(fields: Partial<IncidentFacts>): IncidentFacts {
  return {
    id: 'i',
    rotation: 'r',
    app: 'jobs',
    source: 'github-partner',
    mode: 'overlap',
    expected: 'overlap',
    valid: true,
    timeToContainMs: 4_000.4,
    timeToRevokeMs: 4_000.4,
    oldRefused: true,
    newAccepted: true,
    ...fields,
  };
}

const REVOKED_FIRST = {
  app: 'mail',
  mode: 'revoke-first',
  expected: 'revoke-first',
  timeToContainMs: 120,
  intruderCutMs: 110,
} as const;

/** A demo that went as it should. */
function good(): Facts {
  const [web, jobs] = [named('web', WEB.replicas), named('jobs', JOBS.replicas)];
  const mail = named('mail', MAIL.replicas);
  const reports = [
    ...web.map(({ metadata }) => report({ pod: metadata.name, version: 'w2' })),
    ...jobs.map(({ metadata }) => report({ pod: metadata.name, app: 'jobs', version: 'j4' })),
    ...mail.map(({ metadata }) => report({ pod: metadata.name, app: 'mail', version: 'm2' })),
    report({ pod: 'mail-old', app: 'mail', version: 'm1', failures: 40, failedMs: [1_000, 3_500] }),
  ];
  const chapter = (app: Chapter['app'], before: readonly Pod[], fields: Partial<RotationJson>): Chapter => ({
    app,
    before,
    after: app === WEB ? web : app === JOBS ? jobs : mail,
    rotation: rotation(fields),
  });
  return {
    chapters: [
      chapter(JOBS, named('old', 2), { newVersion: 'j2' }),
      chapter(WEB, named('old', 3), { newVersion: 'w2' }),
      { ...chapter(WEB, web, { newVersion: 'w3', state: 'rolled-back' }) },
      chapter(JOBS, named('old', 2), { newVersion: 'j3', recovered: true }),
      { ...chapter(JOBS, named('old', 2), { newVersion: 'j4' }), leak: leak({}) },
      { ...chapter(MAIL, named('old', 2), { newVersion: 'm2' }), leak: leak(REVOKED_FIRST) },
    ],
    pods: [...podsOf(WEB, web, reports), ...podsOf(JOBS, jobs, reports), ...podsOf(MAIL, mail, reports)],
    reports,
    orders: 2_500,
    audit: { verified: true, rows: 15 } as Facts['audit'],
    seconds: 30,
  };
}

test('a demo that kept every promise says so', () => {
  expect(broken(good(), 'in the end')).toEqual([]);
  expect(summaryText(good(), [])).toContain('web 3 of 3');
  expect(summaryText(good(), [])).toContain('All as promised.');
});

test('the summary counts every pod’s queries, those of pods that are gone included', () => {
  const facts = good();
  const gone = report({ pod: 'web-gone', version: 'w1', queries: 7 });
  expect(summaryOf({ ...facts, reports: [...facts.reports, gone] }).clients).toEqual({
    count: 6,
    queries: 2507,
    failures: 0,
  });
});

test('each leak is in the summary, with what its clients went through counted apart', () => {
  expect(summaryOf(good()).incidents).toMatchObject([
    {
      app: 'jobs',
      source: 'github-partner',
      mode: 'overlap',
      timeToContainMs: 4_000,
      timeToRevokeMs: 4_000,
      oldRefused: true,
      newAccepted: true,
      clients: { failures: 0, outMs: 0 },
    },
    {
      app: 'mail',
      mode: 'revoke-first',
      timeToContainMs: 120,
      intruderCutMs: 110,
      clients: { count: 3, queries: 1_500, failures: 40, outMs: 2_500 },
    },
  ]);
  expect(summaryOf(good()).clients.failures).toBe(0);
  expect(summaryText(good(), [])).toContain('its clients were out for 2.50 s (40 failures)');
});

describe('a promise about a leak that wasn’t kept is named', () => {
  const cases: readonly (readonly [string, Partial<IncidentFacts>, string])[] = [
    [
      'it never worked',
      { valid: false },
      'the credential of mail that was reported did not work in the first place',
    ],
    ['the other mode', { mode: 'overlap' }, 'the leak of mail was answered overlap instead of revoke-first'],
    [
      'accepted again in the end',
      { oldRefused: false },
      'the leaked credential of mail was not refused in real logins',
    ],
    [
      'never refused',
      { timeToContainMs: undefined },
      'the leaked credential of mail was not refused in real logins',
    ],
    ['only disabled', { timeToRevokeMs: undefined }, 'the leaked password of mail is still there'],
    [
      'a session that goes on',
      { intruderCutMs: undefined },
      'a session with the leaked credential of mail is still open',
    ],
    ['no new one', { newAccepted: false }, 'the new credential of mail is not accepted'],
  ];
  test.each(cases)('%s', (_, change, expected) => {
    const facts = good();
    const last = facts.chapters.at(-1) as Chapter;
    const changed = { ...last, leak: leak({ ...REVOKED_FIRST, ...change }) };
    expect(broken({ ...facts, chapters: facts.chapters.with(-1, changed) }, 'in the end')).toEqual([
      expected,
    ]);
  });

  test('no leak was answered', () => {
    const chapters = good().chapters.map(({ leak: _leak, ...chapter }) => chapter);
    expect(broken({ ...good(), chapters }, 'in the end')).toEqual(['2 leaks should have been answered']);
  });
});

describe('a promise that wasn’t kept is named', () => {
  const [third] = good().chapters.slice(2);
  const cases: readonly (readonly [string, (facts: Facts) => Facts, string])[] = [
    [
      'one failed query of a pod that is gone',
      (facts) => ({
        ...facts,
        reports: [...facts.reports, report({ pod: 'web-gone', failures: 1, lastFailure: 'no entry' })],
      }),
      'queries failed: web-gone: no entry',
    ],
    [
      'a pod that ended without its last number',
      (facts) => ({ ...facts, reports: [...facts.reports, report({ pod: 'web-gone', ended: false })] }),
      'pods that never said their last number: web-gone',
    ],
    [
      'a pod of before was replaced by a rollout that failed',
      (facts) => ({
        ...facts,
        chapters: facts.chapters.with(2, { ...(third as Chapter), before: [pod('web-0', 'another')] }),
      }),
      'the pods of before were touched by a rollout that failed',
    ],
    [
      'a pod that runs another version than its template says',
      (facts) => ({ ...facts, pods: facts.pods.with(0, { ...facts.pods[0], version: 'w1' } as never) }),
      'not all pods of web are on the current version',
    ],
    [
      'a pod too few',
      (facts) => ({ ...facts, pods: facts.pods.slice(0, -1) }),
      'not all pods of mail are on the current version',
    ],
    [
      'the killed worker’s rotation was not recovered',
      (facts) => ({ ...facts, chapters: facts.chapters.toSpliced(3, 1, facts.chapters[0] as Chapter) }),
      'no other worker took over the rotation of the one that was killed',
    ],
    [
      'the rollout that had to fail did not',
      (facts) => ({ ...facts, chapters: facts.chapters.toSpliced(2, 1, facts.chapters[1] as Chapter) }),
      'the rotations should have ended done, done, rolled-back, done, done, done',
    ],
    [
      'the old credential was still accepted',
      (facts) => ({
        ...facts,
        chapters: facts.chapters.with(1, {
          ...(facts.chapters[1] as Chapter),
          rotation: rotation({ newVersion: 'w2', proof: { oldRefused: false, newAccepted: true, at: '' } }),
        }),
      }),
      'a rotation is done without a proof',
    ],
    [
      'a client lost count of what it did',
      (facts) => ({ ...facts, orders: 2_501 }),
      'the clients have counted 2500 orders, the database 2501',
    ],
    [
      'nobody asked anything',
      (facts) => ({ ...facts, reports: facts.reports.map((each) => ({ ...each, queries: 1 })) }),
      '5 queries are too few to say anything',
    ],
    [
      'the audit trail was changed',
      (facts) => ({ ...facts, audit: { verified: false } as Facts['audit'] }),
      'the audit trail is broken',
    ],
  ];
  test.each(cases)('%s', (_, change, expected) => {
    const problems = broken(change(good()), 'in the end');
    expect(problems).toContain(expected);
    expect(summaryText(change(good()), problems)).toContain('NOT as promised');
  });
});

test('on a busy machine another worker may take over any rotation: that is no broken promise', () => {
  const facts = good();
  const first = facts.chapters[0] as Chapter;
  const taken = { ...first, rotation: { ...first.rotation, recovered: true } };
  expect(broken({ ...facts, chapters: facts.chapters.with(0, taken) }, 'in the end')).toEqual([]);
});

test('while pods still run, nobody waits for their last number', () => {
  const running = good().reports.map((each) => ({ ...each, ended: false }));
  expect(broken({ ...good(), reports: running }, 'so far')).toEqual([]);
});

describe('a rollout in the summary', () => {
  const proofs = [{ consumer: 'web', pods: [evidence('web-0', true), evidence('green-0', false)] }];
  const step = (direction: 'forward' | 'back') =>
    ({
      step: 'rollout',
      direction,
      state: 'done',
      facts: { proofs },
    }) as unknown as RotationJson['steps'][number];

  test('rolled back: the pods that are on the version of before, untouched', () => {
    const pods = named('web', 3);
    const rolledBack = rotation({ id: 'r3', state: 'rolled-back', steps: [step('back')] });
    expect(rolloutOf({ app: WEB, rotation: rolledBack, before: pods, after: pods.toReversed() })).toEqual({
      rotation: 'r3',
      consumer: 'web',
      strategy: 'blueGreen',
      result: 'rolled-back',
      pods: [evidence('web-0', true)],
      untouched: true,
    });
  });

  test('a container that was started again is not untouched', () => {
    const [before, after] = [[pod('web-0')], [pod('web-0', 'web-0', 1)]];
    expect(rolloutOf({ app: WEB, rotation: rotation({}), before, after }).untouched).toBe(false);
  });

  test('neither done nor rolled back: failed', () => {
    const stuck = rotation({ state: 'needs-human' });
    expect(rolloutOf({ app: JOBS, rotation: stuck, before: [], after: [] })).toMatchObject({
      strategy: 'rolling',
      result: 'failed',
      pods: [],
    });
  });
});

function evidence(name: string, onVersion: boolean) {
  return { name, onVersion, ready: true };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Environment } from '@marcbachmann/cel-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import type { Outlook, OutlookRotation } from '../../ledger/outlook.ts';
import { type PolicyFacts, policyStatus } from '../../orchestrator/cluster/policy-status.ts';
import type { Reading } from '../../orchestrator/cluster/reading.ts';
import { startSingleRedis } from '../setup/redis.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/custom-resources.md'), 'utf8');
const blocks = [...PAGE.matchAll(/^```\w*\n(.*?)^```/gms)].map(([, text = '']) => text);
const blockWith = (word: string) => parse(blocks.find((text) => text.includes(word)) ?? '');

const NOW = new Date('2026-01-01T12:00:00Z');
const rotation = (state: OutlookRotation['state']): OutlookRotation => ({
  id: 'a',
  state,
  trigger: 'schedule',
  requestedBy: 'scheduler',
  waitReason: undefined,
  newVersion: 'v',
  error: undefined,
  createdAt: NOW,
  endedAt: ['done', 'rolled-back', 'needs-human'].includes(state) ? NOW : undefined,
});

/** The object that a GitOps tool sees of a policy for which this holds. */
function seen(
  outlook: Partial<Outlook<{ suspend?: boolean }>>,
  reason?: 'ManifestInvalid' | 'ReferenceMissing',
) {
  const reading = reason
    ? ({ accepted: false, reason, problems: ['it is wrong'] } satisfies Reading)
    : ({ accepted: true, manifest: {} } as Reading);
  const facts: PolicyFacts = {
    resource: {
      kind: 'RotationPolicy',
      namespace: 'shop',
      name: 'db',
      uid: 'u',
      generation: 3,
      resourceVersion: '7',
      createdAt: NOW,
      spec: {},
      status: {},
      rotateNow: undefined,
    },
    reading,
    outlook: {
      uid: 'p',
      namespace: 'shop',
      name: 'db',
      spec: {},
      paused: false,
      nextDueAt: undefined,
      dueReason: undefined,
      replanning: false,
      lastRotatedAt: undefined,
      currentVersion: undefined,
      rotations: [],
      ...outlook,
    },
    rotateNow: { answered: undefined },
  };
  return { metadata: { generation: 3 }, status: policyStatus(facts, NOW) };
}

type Health = 'Healthy' | 'Degraded' | 'Progressing' | 'Suspended';
const CASES: readonly [string, object, Health][] = [
  ['is done', seen({ rotations: [rotation('done')] }), 'Healthy'],
  ['is rotated again', seen({ rotations: [rotation('running'), rotation('done')] }), 'Healthy'],
  ['waits for its schedule', seen({}), 'Healthy'],
  ['is rotated for the first time', seen({ rotations: [rotation('queued')] }), 'Progressing'],
  ['refers to what is on its way', seen({}, 'ReferenceMissing'), 'Progressing'],
  ['is written wrong', seen({ rotations: [rotation('done')] }, 'ManifestInvalid'), 'Degraded'],
  ['was rolled back', seen({ rotations: [rotation('rolled-back')] }), 'Degraded'],
  ['needs a human', seen({ rotations: [rotation('needs-human')] }), 'Degraded'],
  ['can never be due', seen({ dueReason: 'cannot be planned: no window opens' }), 'Degraded'],
  ['is suspended', seen({ spec: { suspend: true } }), 'Suspended'],
  ['is paused', seen({ paused: true }), 'Suspended'],
];

test.each(CASES)('Flux, of a policy that %s', (_, object, health) => {
  const [{ current, failed }] = blockWith('healthCheckExprs').healthCheckExprs;
  const environment = new Environment({ unlistedVariablesAreDyn: true });
  const holds = (expression: string) => environment.evaluate(expression, object);
  expect([holds(current), holds(failed)]).toEqual([
    health === 'Healthy' || health === 'Suspended',
    health === 'Degraded',
  ]);
});

const redis = inject('redis');
describe.skipIf('skipped' in redis)('Argo CD', () => {
  // Its scripts are Lua 5.1, and so are those of Redis.
  let server: Awaited<ReturnType<typeof startSingleRedis>>;
  beforeAll(async () => {
    server = await startSingleRedis({ password: 'x' });
  });
  afterAll(() => server?.stop());

  test.each([
    ...CASES,
    ['nobody has looked at', { metadata: { generation: 1 } }, 'Progressing'] as const,
    ['has changed since', { ...seen({}), metadata: { generation: 4 } }, 'Progressing'] as const,
  ])('of a policy that %s', async (_, object, health) => {
    const script =
      blockWith('resource.customizations')['resource.customizations.health.rotor.dev_RotationPolicy'];
    const lua = `local function health(obj)\n${script}\nend\nreturn cjson.encode(health(cjson.decode(ARGV[1])))`;
    const answer = await (await server.keeper()).ask('EVAL', lua, 0, JSON.stringify(object));
    expect(JSON.parse(String(answer))).toEqual({ status: health, message: expect.stringMatching(/\w/) });
  });
});

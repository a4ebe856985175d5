import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunbookStage, runbookStage } from '../../test/setup/runbooks.ts';
import { previewText } from '../cli/runbook-text.ts';
import { respondDryRun } from './dry-run.ts';

let stage: RunbookStage;

beforeEach(async () => {
  stage = await runbookStage();
});
afterEach(() => stage.stop());

const everything = async () =>
  Promise.all(
    ['incidents', 'incident_targets', 'incident_steps', 'incident_messages', 'rotations', 'audit'].map(
      (table) => stage.test.ledger.query(`SELECT * FROM rotor.${table}`),
    ),
  );

test('a dry run tells each step, what fits, what waits for whom, and changes nothing', async () => {
  const steps = [
    { contain: { after: '15m' } },
    { approve: { people: 2 }, when: { environment: ['production'] } },
    { contain: {}, when: { severity: ['critical'] } },
    { rotate: {} },
    { rollout: {} },
    { notify: { slack: { urlFrom: { file: '/run/slack' } } } },
  ];
  await stage.policy('orders', steps, { environment: 'production' });
  await stage.policy('sibling', [{ rotate: {} }], { store: { name: 'local', path: 'shop/orders' } });
  const before = await everything();
  const { previews } = await respondDryRun(
    stage.orchestrator,
    { policy: 'shop/orders', reason: 'drill', severity: 'high' },
    'token/alice',
  );
  expect(await everything()).toEqual(before);
  expect(previews).toMatchObject([
    {
      policy: 'shop/orders',
      environment: 'production',
      answer: 'rotate',
      mode: 'overlap',
      revokeInMs: 900_000,
      approvals: [2],
      related: ['shop/sibling'],
    },
  ]);
  expect(previewText(previews)).toMatchInlineSnapshot(`
    "shop/orders: would be rotated; found by policy; consumers first, contained after 15m; runbook shop/orders; environment production
    #  STEP     WOULD BE DONE   WHAT                                                       
    1  contain  yes             consumers first; the leaked one is disabled after 15m      
    2  approve  yes             2 people have to approve within 4h, else the incident fails
    3  contain  no              severity is high, not critical                             
    4  rotate   after approval  a new credential for the consumers                         
    5  rollout  after approval  consumers of all waves move at once, at most 50            
    6  notify   yes             tells by Slack when it is opened, approval, proven, failed 
    approvals: 2 people
    blast radius: shop/sibling"
  `);
});

test('a policy without a runbook is answered by the built-in one', async () => {
  await stage.policy('orders', [{ rotate: {} }], { onCompromise: undefined });
  const { previews } = await respondDryRun(
    stage.orchestrator,
    { policy: 'shop/orders', reason: 'drill', severity: 'critical' },
    'token/alice',
  );
  expect(previews).toMatchObject([{ runbook: undefined, mode: 'revoke-first', approvals: [] }]);
  expect(previews[0]?.steps.filter(({ fits }) => fits).map(({ kind }) => kind)).toEqual([
    'contain',
    'contain',
    'rotate',
    'related',
  ]);
});

test('a secret that is nobody’s: nothing would be done, and the look-up is on record', async () => {
  const { previews } = await respondDryRun(
    stage.orchestrator,
    { secret: 'hunter2hunter2', reason: 'drill', severity: 'high' },
    'token/alice',
  );
  expect(previewText(previews)).toBe('no credential of ours: nothing would be done');
  const rows = await stage.test.ledger.query('SELECT actor, action FROM rotor.audit');
  expect(rows).toEqual([{ actor: 'token/alice', action: 'fingerprint.looked-up' }]);
});

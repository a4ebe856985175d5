import { afterEach, beforeEach, expect, test } from 'vitest';
import { freshLedger, type TestLedger } from '../test/setup/ledger.ts';
import { type Anchor, appendAudit, sealAudit, verifyAudit } from './audit.ts';

let test_: TestLedger;
let anchor: Anchor | undefined;
beforeEach(async () => {
  test_ = await freshLedger();
  for (const n of [1, 2, 3, 4, 5]) {
    await appendAudit(test_.ledger, {
      actor: 'test',
      action: 'thing.done',
      subject: `thing/${n}`,
      detail: { n, text: 'ü"\\' },
    });
  }
  anchor = await sealAudit(test_.ledger);
});
afterEach(() => test_.drop());

test('an untouched trail is verified, and its anchor is its head', async () => {
  expect(await verifyAudit(test_.ledger, anchor ? [anchor] : [])).toMatchObject({
    verified: true,
    rows: 5,
    head: { seq: '5', hash: anchor?.hash },
  });
});

test.each([
  ['changed', `UPDATE rotor.audit SET detail = '{"n": 9}' WHERE seq = 3`, /row 3 .*thing\/3.*was changed/],
  [
    'changed in time',
    `UPDATE rotor.audit SET at = at + interval '1 day' WHERE seq = 2`,
    /row 2 .*was changed/,
  ],
  ['removed', 'DELETE FROM rotor.audit WHERE seq = 3', /row 3 is missing before audit row 4/],
  [
    'swapped',
    `UPDATE rotor.audit SET subject = CASE seq WHEN 2 THEN 'thing/4' ELSE 'thing/2' END WHERE seq IN (2, 4)`,
    /row 2 .*was changed/,
  ],
  [
    'cut off at the end',
    'DELETE FROM rotor.audit WHERE seq >= 4',
    /ends at row 3, but an anchor names row 5/,
  ],
  ['cut off at the beginning', 'DELETE FROM rotor.audit WHERE seq = 1', /row 1 is missing/],
])('a row that was %s is named', async (_how, tampering, named) => {
  await test_.ledger.query(tampering);
  const verdict = await verifyAudit(test_.ledger, anchor ? [anchor] : []);
  expect(verdict).toMatchObject({ verified: false });
  expect('broken' in verdict && verdict.broken).toMatch(named);
});

test('a chain that was rewritten as a whole differs from the anchor kept outside', async () => {
  const { ledger } = test_;
  await ledger.query(
    `UPDATE rotor.audit SET seq = NULL, previous_hash = NULL, hash = NULL, actor = 'nobody'`,
  );
  await sealAudit(ledger);
  expect(await verifyAudit(ledger)).toMatchObject({ verified: true });
  expect(await verifyAudit(ledger, anchor ? [anchor] : [])).toMatchObject({
    verified: false,
    broken: expect.stringContaining('rewritten'),
  });
});

test('many sealers at once make one chain', async () => {
  const { ledger } = test_;
  for (let n = 0; n < 40; n += 1)
    await appendAudit(ledger, { actor: 'test', action: 'more', subject: `m/${n}` });
  await Promise.all(Array.from({ length: 6 }, () => sealAudit(ledger)));
  await sealAudit(ledger);
  expect(await verifyAudit(ledger)).toMatchObject({ verified: true, rows: 45 });
});

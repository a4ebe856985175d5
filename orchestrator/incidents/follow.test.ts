import { expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { runbookStage } from '../../test/setup/runbooks.ts';
import { describeIncident } from './describe.ts';
import { followIncidents, nextFor } from './follow.ts';

type Facts = Parameters<typeof nextFor>[0];

/** A credential whose rotation is done and whose leaked version is dead. */
const replaced: Facts = {
  answer: 'rotate',
  attempt: undefined,
  versionId: 'leaked',
  versionState: 'revoked',
  rotationId: 'rotation',
  rotationState: 'done',
  rotationNewVersion: 'fresh',
  tries: 1,
  idleSeconds: 0,
  held: false,
  kept: false,
  unapproved: false,
};
const fresh: Partial<Facts> = { versionState: 'current', rotationId: undefined, rotationState: undefined };

const dead: Partial<Facts> = { answer: 'prove', rotationId: undefined, rotationState: undefined };

test.each<[string, Partial<Facts>, string]>([
  ['is replaced', {}, 'end-proven'],
  ['is replaced, and people have still to approve what comes after', { unapproved: true }, 'wait'],
  ['has no rotation', fresh, 'rotate'],
  ['is held up, and by what it is contained is not kept yet', { ...fresh, held: true }, 'rotate'],
  ['is held up', { ...fresh, held: true, kept: true }, 'wait'],
  ['was held up', { ...fresh, kept: true }, 'rotate'],
  ['was replaced by the one that leaked', { rotationNewVersion: 'leaked' }, 'rotate'],
  ['was rolled back just now', { rotationState: 'rolled-back' }, 'wait'],
  ['was rolled back a while ago', { rotationState: 'rolled-back', idleSeconds: 2 }, 'rotate'],
  ['was rolled back too often', { rotationState: 'rolled-back', tries: 6 }, 'end-failed'],
  ['was dead before, and was not tried yet', dead, 'wait'],
  ['was dead before, and is refused', { ...dead, attempt: 'refused' }, 'end-proven'],
  ['was dead before, and whose value nobody has', { ...dead, attempt: 'not-tried' }, 'end-proven'],
  ['was dead before, and whose provider never answered', { ...dead, attempt: 'failed' }, 'end-failed'],
  ['was brought back', { ...dead, ...fresh, answer: 'rotate', attempt: 'accepted' }, 'rotate'],
  ['turned out to be alive', { ...dead, versionState: 'previous' }, 'rotate'],
  ['is merely named', { ...fresh, answer: 'watch' }, 'end-noted'],
])('a credential that %s', (_what, facts, expected) => {
  expect(nextFor({ ...replaced, ...facts })).toBe(expected);
});

test.each([
  [{ newAccepted: true, confirmedBy: 'token/anna', note: 'confirmed by token/anna: not tried' }, 'noted'],
  [{ newAccepted: true, note: undefined }, 'proven'],
])('an incident whose proof says %j is %s', async (facts, result) => {
  const stage = await runbookStage();
  try {
    const uid = await stage.policy('orders', [{ rotate: {} }]);
    const { ledger } = stage.test;
    await ledger.query(
      `INSERT INTO rotor.credential_versions (id, policy_uid, state, identity, fingerprint)
       VALUES (gen_random_uuid(), $1, 'current', 'app', $2)`,
      [uid, SecretValue.of('leaked-value').fingerprint(stage.orchestrator.fingerprintKey)],
    );
    const incident = await stage.report(['orders']);
    await ledger.query(
      `INSERT INTO rotor.journal (rotation_id, seq, at, epoch, direction, step, event, facts)
       SELECT id, 1, clock_timestamp(), 1, 'forward', 'prove', 'done', $1::jsonb FROM rotor.rotations`,
      [JSON.stringify(facts)],
    );
    await ledger.query(
      "UPDATE rotor.rotations SET state = 'done', holds = NULL, ended_at = clock_timestamp()",
    );
    await ledger.query("UPDATE rotor.credential_versions SET state = 'discarded'");
    await followIncidents(stage.orchestrator);
    const { targets } = await describeIncident(stage.orchestrator, incident);
    expect(targets[0]).toMatchObject({ result, ...(facts.note ? { reason: facts.note } : {}) });
  } finally {
    await stage.stop();
  }
});

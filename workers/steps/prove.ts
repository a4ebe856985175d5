import { RotorError } from '../../core/errors.ts';
import type { Done, Step, StepContext, Wait } from '../saga/context.ts';
import { collectDead } from './collect.ts';
import { deliverEverywhere } from './deliver.ts';

/** Tries the old credential (must be refused) and the new one (must be accepted). Only now is it called revoked. */
export const prove: Step = {
  async perform(context): Promise<Done | Wait> {
    const { rotator } = context.parts;
    const fresh = await context.newCredential();
    const old = await context.oldCredential();
    // Somebody may have written the target since; consumers must not find a dead credential there.
    const looked = await deliverEverywhere(context, fresh, 'gone is done', 'unseen is left alone');
    if ('waitMs' in looked) return looked;
    const { facts: delivered } = looked;
    if (rotator.capabilities.overlap === 'no-provider') {
      const facts = { ...delivered, skipped: 'nobody checks this value', ...(await collectOld(context)) };
      return { facts, versions: revoked(context) };
    }
    const { leavesOld } = rotator.capabilities;
    if (leavesOld === 'untried')
      return left(context, { ...delivered, newAccepted: 'before it was published', oldRefused: 'not tried' });
    const newAccepted = await accepted(context, fresh);
    if (!newAccepted) {
      // A replica that lagged when it was promoted brings the old state back: install again, then look again.
      await rotator.install(context.call(), fresh, old);
      throw failed(`the new credential of ${fresh.identity} was refused; it was installed again`);
    }
    if (!old) return { facts: { ...delivered, newAccepted } };
    const oldAccepted = await accepted(context, old);
    // Nobody has revoked it: that it fails once proves nothing.
    if (leavesOld) {
      const oldRefused = oldAccepted ? false : 'when it was tried once, but nobody revoked it';
      return left(context, { ...delivered, newAccepted, oldRefused });
    }
    if (oldAccepted) {
      const since = context.position.doneAt.get('install') ?? (await context.now());
      await rotator.revoke(context.call(), old, fresh, since);
      throw failed(`the old credential of ${old.identity} was still accepted; it was revoked again`);
    }
    const at = (await context.now()).toISOString();
    const facts = { ...delivered, oldRefused: true, newAccepted, at, ...(await collectOld(context)) };
    const audit = [
      {
        action: 'credential.revoked',
        subject: `credential/${old.versionId}`,
        detail: { identity: old.identity },
      },
    ];
    return { facts, versions: revoked(context), audit };
  },
};

/**
 * The new credential is in use, and the old one is not dead: nobody says so, and the ledger keeps it as the previous one. One
 * that has leaked has to die, by a person's hand: then it is `discarded` on that person's word, and still not `revoked`.
 * @throws RotorError `rotation.needs-human` until that person has let the rotation go on, and while it is seen to be accepted
 */
async function left(context: StepContext, facts: Done['facts']): Promise<Done> {
  const leaked = (await context.versions()).some(
    ({ id, compromised }) => compromised && id === context.oldVersion,
  );
  if (leaked && context.oldVersion) {
    const stillAccepted = facts.oldRefused === false;
    const confirmedBy = await context.resumedBy();
    if (confirmedBy === undefined || stillAccepted) {
      throw new RotorError('rotation.needs-human', {
        what: `the old credential has leaked, ${stillAccepted ? 'it is still accepted, ' : ''}and the function has no step that revokes it; consumers have the new one`,
        hint: `Revoke the old credential at its provider by hand, then confirm it by \`rotor resume rotation/${context.rotation.id}\`.`,
      });
    }
    const seen = facts.oldRefused === 'not tried' ? 'not tried' : 'refused when it was tried once';
    const note = `the old credential has leaked; that it was revoked by hand was confirmed by ${confirmedBy}: ${seen}`;
    const versions = [{ id: context.oldVersion, state: 'discarded' as const }];
    const subject = `credential/${context.oldVersion}`;
    const audit = [{ action: 'credential.confirmed-dead', subject, detail: { confirmedBy, seen } }];
    return { facts: { ...facts, note, confirmedBy }, versions, audit };
  }
  return { facts: { ...facts, note: 'the old credential was not revoked; it is not reported as dead' } };
}

/** Proven dead, and only now: what delivery kept of the old version, and of those before that could not be removed then. */
async function collectOld(context: StepContext): Promise<Readonly<Record<string, unknown>>> {
  return collectDead(context, context.oldVersion ? [context.oldVersion] : []);
}

async function accepted(
  context: StepContext,
  credential: Parameters<StepContext['fingerprint']>[0],
): Promise<boolean> {
  return (await context.parts.rotator.attempt(context.call(), credential)) === 'accepted';
}

function revoked(context: StepContext) {
  return context.oldVersion ? [{ id: context.oldVersion, state: 'revoked' as const }] : [];
}

function failed(what: string): RotorError {
  return new RotorError('provider.proof-failed', { what, kind: 'retryable' });
}

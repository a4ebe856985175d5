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
    if (await accepted(context, old)) {
      if (leavesOld) return left(context, { ...delivered, newAccepted, oldRefused: false });
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
 * The new credential is in use, and the old one is not dead: nobody says so, and the ledger keeps it as the previous one.
 * @throws RotorError `rotation.needs-human` when it has leaked, since then it has to die
 */
async function left(context: StepContext, facts: Done['facts']): Promise<Done> {
  const leaked = (await context.versions()).some(
    ({ id, compromised }) => compromised && id === context.oldVersion,
  );
  if (leaked) {
    throw new RotorError('rotation.needs-human', {
      what: 'the old credential has leaked, and the function has no step that revokes it; consumers have the new one',
      hint: `Revoke the old credential at its provider by hand, then \`rotor resume rotation/${context.rotation.id}\`.`,
    });
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

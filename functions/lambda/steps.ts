import { RotorError } from '../../core/errors.ts';
import type { RotationEvent } from './event.ts';
import { currentVersion, type SecretState } from './readiness.ts';
import type { SecretsManager } from './secrets-manager.ts';
import type { Strategy, Turn } from './strategy.ts';

/** Carries out one step of a version that is pending. @returns what happened, for the log */
export async function runStep(
  manager: SecretsManager,
  strategy: Strategy,
  turn: Turn,
  event: RotationEvent,
  state: SecretState,
): Promise<string> {
  const { secretId, versionId } = event;
  const { deadline } = turn.call;
  switch (event.step) {
    case 'createSecret':
      return createSecret(manager, strategy, turn, event);
    case 'setSecret': {
      const current = await manager.read(secretId, 'AWSCURRENT', deadline);
      const pending = await manager.read(secretId, 'AWSPENDING', deadline, versionId);
      const previous = await manager.find(secretId, 'AWSPREVIOUS', deadline);
      await strategy.set(turn, { pending, current, previous });
      return 'the pending version is installed at its provider';
    }
    case 'testSecret':
      await strategy.test(turn, await manager.read(secretId, 'AWSPENDING', deadline, versionId));
      return 'the pending version is accepted by its provider';
    case 'finishSecret':
      // A version that nobody staged contents for would become what every consumer reads.
      await manager.read(secretId, 'AWSPENDING', deadline, versionId);
      return finishSecret(manager, turn, state);
  }
}

/**
 * A call whose answer was lost is repeated by the SDK, and then refused, since AWSCURRENT has moved: only a look tells that
 * from a label that somebody else has moved.
 */
async function finishSecret(manager: SecretsManager, turn: Turn, state: SecretState): Promise<string> {
  const { secretId, versionId } = turn;
  const { deadline } = turn.call;
  try {
    await manager.promote(secretId, versionId, currentVersion(state), deadline);
  } catch (error) {
    const seen = await manager.describe(secretId, deadline).catch(() => undefined);
    if (!seen || currentVersion(seen) !== versionId) throw error;
  }
  return 'AWSCURRENT is moved to the new version';
}

/**
 * What is staged already stays: another value would lock out the credential that an earlier try may have installed. Two
 * tries at once are settled by Secrets Manager, which takes only one value for a version.
 */
async function createSecret(
  manager: SecretsManager,
  strategy: Strategy,
  turn: Turn,
  { secretId, versionId, rotationToken }: RotationEvent,
): Promise<string> {
  const { deadline } = turn.call;
  const current = await manager.read(secretId, 'AWSCURRENT', deadline);
  if (await manager.find(secretId, 'AWSPENDING', deadline, versionId))
    return 'a pending version is staged already';
  const created = await strategy.create(turn, current);
  try {
    await manager.stage(secretId, versionId, created, deadline, rotationToken);
  } catch (error) {
    const taken = error instanceof RotorError && error.code === 'store.conflict';
    if (!taken || !(await manager.find(secretId, 'AWSPENDING', deadline, versionId))) throw error;
    return 'another try has staged a pending version meanwhile';
  }
  return 'a new version is staged as pending';
}

import type { Call } from '../../core/call.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { KeyVaultCalls } from './calls.ts';
import { type Claim, TAG, turnOf } from './tags.ts';

/** A claim that is older than any lease belongs to a worker that is dead, in milliseconds. */
const STALE_MS = 120_000;
/** How often one waits for younger claims to yield, and how long each time. */
const LOOKS = 20;
const PAUSE_MS = 150;

/**
 * Lets one version at a time replace what is live. Key Vault takes no condition with a write, but it keeps every version
 * of a secret: so each worker first writes a claim, then looks at all claims, as in Lamport's bakery. Of two that claim
 * at once each sees the other's, or one of them has seen nobody and goes. The secret of the claims is named after the
 * version that is replaced, so each is used for one publication only and deleted afterwards. It holds ids, no secret.
 * @param work must look again whether the version is still live: the turn may have been another's, and over
 * @throws RotorError `store.conflict`, retryable, when another version has the turn
 */
export async function inTurn(
  call: Call,
  vault: KeyVaultCalls,
  turn: string,
  versionId: string,
  work: () => Promise<void>,
): Promise<void> {
  const mine = call.random.uuid();
  const claimed = async () => (await vault.versions(call, turn)).some(({ tags }) => tags[TAG.claim] === mine);
  const tags = { [TAG.version]: versionId, [TAG.claim]: mine };
  try {
    await vault.add(call, turn, SecretValue.of('a claim of Rotor'), { tags }, claimed);
  } catch (error) {
    if (!(error instanceof RotorError) || error.code !== 'store.conflict') throw error;
    // The claims are deleted when one of them has won.
    throw taken(turn, undefined);
  }
  for (let looks = 1; ; looks += 1) {
    const claims = await livingClaims(call, vault, turn);
    const verdict = turnOf(claims, versionId);
    if (verdict === 'go') return work();
    if (verdict === 'yield' || looks === LOOKS) {
      await withdraw(call, vault, turn, mine);
      const other = claims.find((claim) => claim.versionId !== versionId);
      throw taken(turn, other?.versionId);
    }
    await call.clock.sleep(PAUSE_MS);
  }
}

/**
 * Removes the claims when the publication that they were for is over; where their name is needed again, it takes back
 * its own. What stays ends by itself.
 */
export async function endTurn(
  call: Call,
  vault: KeyVaultCalls,
  turn: string,
  own: { readonly versionId: string; readonly nameIsNeeded: boolean },
): Promise<void> {
  try {
    if (!own.nameIsNeeded) return await vault.remove(call, turn);
    for (const { version, versionId } of await livingClaims(call, vault, turn))
      if (versionId === own.versionId) await vault.update(call, turn, version, { enabled: false });
  } catch (error) {
    call.log.warn({ err: error, secret: turn }, 'the claims of a publication that is over are not deleted');
  }
}

async function livingClaims(call: Call, vault: KeyVaultCalls, turn: string): Promise<readonly Claim[]> {
  const since = call.clock.now().getTime() - STALE_MS;
  return (await vault.versions(call, turn))
    .filter(({ enabled, createdAt }) => enabled && createdAt.getTime() > since)
    .map(({ version, createdAt, tags }) => ({ version, createdAt, versionId: tags[TAG.version] ?? '' }));
}

async function withdraw(call: Call, vault: KeyVaultCalls, turn: string, mine: string): Promise<void> {
  for (const { version, tags } of await vault.versions(call, turn))
    if (tags[TAG.claim] === mine) await vault.update(call, turn, version, { enabled: false }).catch(gone);
}

/** Deleted together with the others, since one of them has won. */
function gone(error: unknown): void {
  if (!(error instanceof RotorError) || error.code !== 'store.not-found') throw error;
}

function taken(turn: string, other: string | undefined): RotorError {
  return new RotorError('store.conflict', {
    what: `secret ${turn}: ${other ? `version ${other}` : 'another version'} is being published by another worker`,
    hint: 'Nothing to do: Rotor tries again.',
    kind: 'retryable',
  });
}

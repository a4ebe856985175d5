import { rewrap } from '../../core/seal.ts';
import { replaceSealed, sealedByOtherKeys } from '../../ledger/stageless.ts';
import type { Shelf } from './session.ts';

const BATCH = 200;

/**
 * Wraps every version that the ledger keeps for stores without stages with the active key, so that older keys can leave the
 * key file. May be repeated and interrupted; readers notice nothing.
 * @returns how many were changed
 * @throws RotorError `store.sealed` when a version's key isn't in the key file
 */
export async function rewrapStageless({ ledger, keyring }: Shelf): Promise<number> {
  for (let changed = 0; ; ) {
    const rows = await sealedByOtherKeys(ledger, keyring.activeKeyId, BATCH);
    for (const row of rows) if (await replaceSealed(ledger, row, rewrap(keyring, row.sealed))) changed += 1;
    if (rows.length < BATCH) return changed;
  }
}

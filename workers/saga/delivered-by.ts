import type { Ledger } from '../../ledger/database.ts';
import { ownerOfVersion } from '../../ledger/versions.ts';
import type { OtherPolicy } from '../deliveries/delivery.ts';

interface PolicyPart {
  readonly suspend?: boolean;
  readonly deliver?: readonly { readonly kind: string; readonly spec: unknown }[];
}

/**
 * Whose version a target carries: another policy's, which still delivers there, would take it back with its next rotation.
 * One that is paused, suspended or no longer names the target has left it to others.
 * @param policyUid of the policy that asks
 */
export function deliveredByOthers(ledger: Ledger, policyUid: string): OtherPolicy {
  return async (versionId, isTarget) => {
    const owner = await ownerOfVersion(ledger, versionId);
    if (!owner || owner.policyUid === policyUid || owner.paused) return undefined;
    const { suspend, deliver = [] } = owner.spec as PolicyPart;
    return suspend !== true && deliver.some(isTarget) ? owner.policy : undefined;
  };
}

import { asRotorError } from '../../core/errors.ts';
import { watchCurrent } from '../../ledger/current-looks.ts';
import type { Ledger } from '../../ledger/database.ts';
import type { Policy } from '../../ledger/policies.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import type { Orchestrator } from './orchestrator.ts';
import { rememberingResources, rotationSpecOf } from './rotation-spec.ts';

/** Has workers look where the credentials of these policies are kept, within `ledger` (a transaction, perhaps). */
export async function watchCurrentOf(
  { localStore, log }: Pick<Orchestrator, 'localStore' | 'log'>,
  ledger: Ledger,
  policies: readonly Policy<PolicySpec>[],
): Promise<void> {
  const resources = rememberingResources(ledger);
  const watched = [];
  for (const policy of policies) {
    try {
      const { spec } = await rotationSpecOf(resources, policy, localStore);
      watched.push({ policyUid: policy.uid, spec: { ...spec, deliver: [], consumers: [] } });
    } catch (thrown) {
      const error = asRotorError(thrown, 'where a credential is kept');
      if (error.code === 'ledger.unavailable') throw error;
      log.warn({ err: error, policy: `${policy.namespace}/${policy.name}` }, 'nobody looks for its versions');
    }
  }
  await watchCurrent(ledger, watched);
}

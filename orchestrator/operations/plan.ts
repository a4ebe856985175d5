import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential } from '../../core/credential.ts';
import { asRotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { getPolicy } from '../../ledger/policies.ts';
import { openParts, type Parts } from '../../workers/saga/parts.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { type Orchestrator, qualified } from './orchestrator.ts';
import { rotationSpecOf } from './rotation-spec.ts';

export interface PlanResult {
  readonly policy: string;
  readonly actions: readonly string[];
  readonly warnings: readonly string[];
  /** What would make the rotation refuse, each in words with what to do next. */
  readonly problems: readonly { readonly code: string; readonly what: string; readonly hint: string }[];
}

/** What a rotation of the policy would do now, and what would stop it. Changes nothing. */
export async function planRotation(orchestrator: Orchestrator, policyName: string): Promise<PlanResult> {
  const { ledger, registries, clock, random, log, localStore } = orchestrator;
  const name = qualified(policyName);
  const policy = await getPolicy<PolicySpec>(ledger, name);
  const { spec } = await rotationSpecOf(ledger, policy, localStore);
  const call = (): Call => ({ deadline: Deadline.after(15_000, clock), fence: 0n, clock, random, log });
  const problems: PlanResult['problems'][number][] = [];
  const attempt = async <T>(doing: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (thrown) {
      problems.push(asRotorError(thrown, doing).toJSON());
      return undefined;
    }
  };
  const parts = await attempt('opening the policy', async () => openParts(spec, registries));
  if (!parts) return { policy: name, actions: [], warnings: [], problems };
  try {
    const current = await attempt('reading the store', () => currentOf(parts, call(), spec.store.path));
    const report = await attempt('asking the provider', () => parts.rotator.plan(call(), current));
    for (const delivery of parts.deliveries)
      await attempt(`planning ${delivery.target}`, () => delivery.plan(call()));
    if (current) {
      for (const rollout of parts.rollouts)
        await attempt(`consumer ${rollout.consumer}`, () => rollout.plan(call()));
    }
    const actions = [
      ...(report?.actions ?? []),
      ...parts.deliveries.map((delivery) => `deliver to ${delivery.target}`),
      ...parts.rollouts.map((rollout) => `move consumer ${rollout.consumer}`),
    ];
    const first = spec.initialFrom
      ? `the store is empty: the credential in ${spec.initialFrom.file} is adopted first`
      : 'the store is empty: this is the first credential, there is none to revoke';
    return {
      policy: name,
      actions,
      warnings: [...(current ? [] : [first]), ...(report?.warnings ?? [])],
      problems,
    };
  } finally {
    await parts.close();
  }
}

async function currentOf(parts: Parts, call: Call, path: string): Promise<Credential | undefined> {
  const found = await parts.store.read(call, path, 'current');
  return found && decodeCredential(found.versionId, found.document, parts.rotator.format);
}

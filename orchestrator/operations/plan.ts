import type { Call } from '../../core/call.ts';
import { type Credential, decodeCredential } from '../../core/credential.ts';
import { asRotorError } from '../../core/errors.ts';
import { Deadline } from '../../core/retry.ts';
import { getPolicy } from '../../ledger/policies.ts';
import type { SecretReaders } from '../../workers/kubernetes/consumers/blast-radius.ts';
import type { RolloutSession } from '../../workers/rollouts/rollout.ts';
import { deliveredByOthers } from '../../workers/saga/delivered-by.ts';
import { openParts, type Parts } from '../../workers/saga/parts.ts';
import type { PolicySpec } from '../manifests/manifest.ts';
import { type Orchestrator, qualified } from './orchestrator.ts';
import { fromLedger, rotationSpecOf } from './rotation-spec.ts';

/** One that would be moved: listed by the policy, or found to read the Secret. */
export interface PlannedConsumer {
  readonly consumer: string;
  readonly wave: number;
  /** How it comes to the new version, in words or by the kind of rollout. */
  readonly moves: string;
  /** `deployment shop/web`, where it is one. */
  readonly workload?: string;
  /** `env of container web`: how it reads the Secret, where that was seen. */
  readonly reads?: readonly string[];
  readonly pods?: number;
}

export interface PlanResult {
  readonly policy: string;
  readonly actions: readonly string[];
  readonly warnings: readonly string[];
  /** What would make the rotation refuse, each in words with what to do next. */
  readonly consumers: readonly PlannedConsumer[];
  /** Who else may read each delivered Secret: the blast radius. */
  readonly readers: readonly SecretReaders[];
  readonly problems: readonly { readonly code: string; readonly what: string; readonly hint: string }[];
}

/** What a rotation of the policy would do now, and what would stop it. Changes nothing. */
export async function planRotation(orchestrator: Orchestrator, policyName: string): Promise<PlanResult> {
  const { ledger, registries, clock, random, log, localStore } = orchestrator;
  const name = qualified(policyName);
  const policy = await getPolicy<PolicySpec>(ledger, name);
  const { spec } = await rotationSpecOf(fromLedger(ledger), policy, localStore);
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
  if (!parts) return { policy: name, actions: [], warnings: [], consumers: [], readers: [], problems };
  try {
    const { store } = parts;
    const home = await attempt('looking at the store', async () => store.check?.(call(), spec.store.path));
    const current = await attempt('reading the store', () => currentOf(parts, call(), spec.store.path));
    const report = await attempt('asking the provider', () => parts.rotator.plan(call(), current));
    const others = deliveredByOthers(ledger, policy.uid);
    for (const delivery of parts.deliveries)
      await attempt(`planning ${delivery.target}`, () => delivery.plan(call(), current, others));
    if (current) {
      for (const rollout of parts.rollouts)
        await attempt(`consumer ${rollout.consumer}`, () => rollout.plan(call()));
    }
    const consumers: PlannedConsumer[] = [];
    const warnings = parts.deliveries.flatMap(({ warnings: told = [] }) => told);
    for (const [index, rollout] of parts.rollouts.entries()) {
      const { wave = 0, kind = '' } = spec.consumers[index] ?? {};
      const survey = rollout.survey;
      const seen =
        survey && (await attempt(`consumer ${rollout.consumer}`, () => survey.call(rollout, call())));
      consumers.push(...(seen?.found.map((found) => ({ ...found, wave })) ?? [listed(rollout, kind, wave)]));
      warnings.push(...(seen?.warnings ?? []));
    }
    const readers: SecretReaders[] = [];
    for (const delivery of parts.deliveries) {
      const { readers: ask } = delivery;
      try {
        if (ask) readers.push(...(await ask.call(delivery, call())));
      } catch (thrown) {
        // No rotation fails for that.
        const { message } = asRotorError(thrown, `asking who may read ${delivery.target}`);
        warnings.push(`who else may read ${delivery.target} is not known: ${message}`);
      }
    }
    const actions = [
      ...(report?.actions ?? []),
      ...parts.deliveries.map((delivery) => `deliver to ${delivery.target}`),
      ...consumers.map(({ consumer }) => `move consumer ${consumer}`),
    ];
    const first = spec.initialFrom
      ? `the store is empty: the credential in ${spec.initialFrom.file} is adopted first`
      : 'the store is empty: this is the first credential, there is none to revoke';
    return {
      policy: name,
      actions,
      warnings: [
        ...(home?.warnings ?? []),
        ...(current ? [] : [first]),
        ...(report?.warnings ?? []),
        ...warnings,
      ],
      consumers,
      readers,
      problems,
    };
  } finally {
    await parts.close();
  }
}

function listed({ consumer, moves }: RolloutSession, kind: string, wave: number): PlannedConsumer {
  const workload = moves && `${moves.kind.toLowerCase()} ${moves.namespace}/${moves.name}`;
  return { consumer, wave, moves: kind, ...(workload ? { workload } : {}) };
}

async function currentOf(parts: Parts, call: Call, path: string): Promise<Credential | undefined> {
  const found = await parts.store.read(call, path, 'current');
  return found && decodeCredential(found.versionId, found.document, parts.rotator.format);
}

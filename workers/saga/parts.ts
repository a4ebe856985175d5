import { RotorError } from '../../core/errors.ts';
import type { SecretDesk } from '../../rotators/function/secret-desk.ts';
import type { Opening, Rotator, RotatorSession } from '../../rotators/rotator.ts';
import type { Store, StoreSession } from '../../stores/store.ts';
import type { Delivery, DeliverySession } from '../deliveries/delivery.ts';
import { type AllowedCommands, assertAllowed } from '../rollouts/reload/allowed-commands.ts';
import type { Rollout, RolloutSession } from '../rollouts/rollout.ts';
import type { RotationSpec } from './spec.ts';

/** Everything a policy can name, as the worker was built with it. */
export interface Registries {
  readonly rotators: readonly Rotator[];
  readonly stores: readonly Store[];
  readonly deliveries: readonly Delivery[];
  readonly rollouts: readonly Rollout[];
  /** For rotators that let functions of others work; without it they say that they can't here. */
  readonly functions?: FunctionSupport;
}

/** What functions of others need of a worker. */
export interface FunctionSupport {
  readonly desks: { at(store: StoreSession, path: string): SecretDesk };
  /** Programs that policies may run on this worker. */
  readonly allowedCommands: AllowedCommands;
}

/** The opened parts of one rotation. */
export interface Parts {
  readonly rotator: RotatorSession;
  readonly store: StoreSession;
  readonly deliveries: readonly DeliverySession[];
  readonly rollouts: readonly RolloutSession[];
  close(): Promise<void>;
}

/**
 * Opens what the spec names.
 * @throws RotorError `manifest.invalid` when this worker doesn't know a kind or its spec (an older worker, perhaps)
 */
export function openParts(spec: RotationSpec, registries: Registries): Parts {
  const rotatorKind = byKind(registries.rotators, spec.rotator.kind, 'rotator');
  const provider =
    rotatorKind.provider &&
    parse(rotatorKind.provider, spec.rotator.provider, `provider ${spec.rotator.kind}`);
  const credential = parse(
    rotatorKind.credential,
    spec.rotator.credential,
    `credential ${spec.rotator.kind}`,
  );
  const storeKind = byKind(registries.stores, spec.store.kind, 'store');
  const deliveries = spec.deliver.map(({ kind, spec: target }) => {
    const delivery = byKind(registries.deliveries, kind, 'delivery');
    return delivery.open(parse(delivery.spec, target, `delivery ${kind}`));
  });
  const rollouts: RolloutSession[] = [];
  for (const { kind, name, spec: written } of spec.consumers) {
    const rollout = byKind(registries.rollouts, kind, 'rollout');
    rollouts.push(rollout.open(name, parse(rollout.spec, written, `consumer ${name}`), () => rollouts));
  }
  const store = storeKind.open(parse(storeKind.spec, spec.store.spec, `store ${spec.store.kind}`));
  const rotator = rotatorKind.open(provider, credential, openingFor(registries.functions, store, spec));
  const close = async () => {
    await Promise.allSettled([rotator.close(), store.close()]);
  };
  return { rotator, store, deliveries, rollouts, close };
}

function openingFor(
  functions: FunctionSupport | undefined,
  store: StoreSession,
  spec: RotationSpec,
): Opening | undefined {
  if (!functions) return undefined;
  return {
    desk: functions.desks.at(store, spec.store.path),
    assertAllowed: (command) => assertAllowed('the rotation function', command, functions.allowedCommands),
  };
}

/** The same parts for one piece of work about many credentials, whose rotators share their connections until `close`. */
export function shareConnections(registries: Registries): {
  readonly registries: Registries;
  close(): Promise<void>;
} {
  const shared = registries.rotators.map((rotator) => ({ rotator, sharing: rotator.sharing?.() }));
  return {
    registries: {
      ...registries,
      rotators: shared.map(({ rotator, sharing }) =>
        sharing ? { ...rotator, open: sharing.open } : rotator,
      ),
    },
    close: async () => {
      await Promise.allSettled(shared.map(({ sharing }) => sharing?.close()));
    },
  };
}

function byKind<Part extends { readonly kind: string }>(
  parts: readonly Part[],
  kind: string,
  what: string,
): Part {
  const part = parts.find((candidate) => candidate.kind === kind);
  if (part) return part;
  const known = parts.map((candidate) => candidate.kind).join(', ');
  throw new RotorError('manifest.invalid', { what: `this worker has no ${what} "${kind}"; it has ${known}` });
}

interface Schema {
  safeParse(value: unknown): {
    success: boolean;
    data?: unknown;
    error?: { issues: readonly { path: PropertyKey[] }[] };
  };
}

function parse(schema: Schema, value: unknown, what: string): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error?.issues.map((issue) => issue.path.join('.') || '(itself)').join(', ');
  throw new RotorError('manifest.invalid', { what: `${what}: invalid ${fields}` });
}

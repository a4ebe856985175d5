import { z } from 'zod';
import type { Call } from '../../core/call.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Capabilities, Rotator, RotatorSession } from '../../rotators/rotator.ts';
import type { Stage, Store, StoreSession } from '../../stores/store.ts';
import type { Delivery } from '../../workers/deliveries/delivery.ts';
import type { Rollout } from '../../workers/rollouts/rollout.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';

/** A rotation of the credential of a {@link World}. */
export const SIMULATED: RotationSpec = {
  rotator: { kind: 'simulated', credential: {} },
  store: { kind: 'simulated', spec: {}, path: 'simulated' },
  deliver: [{ kind: 'simulated', spec: {} }],
  consumers: [{ name: 'consumer', kind: 'simulated', spec: {} }],
  settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 60_000, onTimeout: 'roll-back' },
};

const FORMAT = { identity: 'username', secrets: ['password'] } as const;
const CAPABILITIES: Capabilities = {
  overlap: 'two-identities',
  issuedBy: 'rotor',
  seesUsage: true,
  fence: 'provider',
};

/** What may go wrong around an effect: thrown before it happens, or after it (the answer is lost). */
export interface Trouble {
  around<T>(name: string, call: Call, effect: () => T): Promise<T>;
}

/**
 * A provider, a store, a target and a consumer in memory, with the same manners as real ones: fences, deadlines,
 * idempotence. After every effect the promises are checked; what was broken is in {@link World.broken}.
 */
export class World {
  readonly trouble: Trouble;
  readonly broken: string[] = [];
  /** Accepted secret by identity; null: the role exists but can't log in. */
  readonly accepted = new Map<string, string | null>();
  readonly versions = new Map<string, { document: SecretValue; stages: Set<Stage> }>();
  delivered: Credential | undefined;
  /** What the running consumer uses. */
  held: Credential | undefined;
  /** While true, the consumer isn't healthy with anything but `healthyWith`. */
  unhealthyWith: ((credential: Credential) => boolean) | undefined;
  #leaked: string | undefined;
  #onLeaked = new Set<string>();
  #providerFence = 0n;
  #storeFence = 0n;

  constructor(trouble: Trouble) {
    this.trouble = trouble;
  }

  /** A credential that is in use already. */
  seed(versionId: string): void {
    const credential = credentialOf(versionId, 'blue', 'first');
    this.accepted.set('blue', 'first');
    this.accepted.set('green', null);
    const document = SecretValue.of(JSON.stringify({ username: 'blue', password: 'first' }));
    this.versions.set(versionId, { document, stages: new Set(['current']) });
    this.delivered = credential;
    this.held = credential;
  }

  accepts(credential: Credential): boolean {
    return this.accepted.get(credential.identity) === credential.secrets.password?.reveal();
  }

  currentVersion(): string | undefined {
    return [...this.versions].find(([, version]) => version.stages.has('current'))?.[0];
  }

  /** From now on nothing may go back to this version; what is on it may only leave. */
  leak(versionId: string): void {
    this.#leaked = versionId;
    this.#onLeaked = this.#holdersOf(versionId);
  }

  get leaked(): boolean {
    return this.#leaked !== undefined;
  }

  #holdersOf(versionId: string): Set<string> {
    const places = {
      'the consumer': this.held?.versionId,
      'the target': this.delivered?.versionId,
      'the store': this.currentVersion(),
    };
    return new Set(Object.entries(places).flatMap(([place, held]) => (held === versionId ? [place] : [])));
  }

  get registries(): Registries {
    return {
      rotators: [this.#rotator()],
      stores: [this.#store()],
      deliveries: [this.#delivery()],
      rollouts: [this.#rollout()],
    };
  }

  async #effect<T>(name: string, call: Call, effect: () => T): Promise<T> {
    return this.trouble.around(name, call, () => {
      call.deadline.assertTime(name);
      const result = effect();
      this.#check(name);
      this.#checkLeaked(name);
      return result;
    });
  }

  #check(after: string): void {
    for (const [what, credential] of [
      ['the consumer holds', this.held],
      ['the target carries', this.delivered],
    ] as const) {
      if (credential && !this.accepts(credential)) {
        this.broken.push(
          `after ${after}: ${what} ${credential.identity}/${credential.versionId}, which the provider refuses`,
        );
      }
    }
  }

  #checkLeaked(after: string): void {
    if (this.#leaked === undefined) return;
    const holders = this.#holdersOf(this.#leaked);
    for (const place of holders) {
      if (!this.#onLeaked.has(place))
        this.broken.push(`after ${after}: ${place} went back to the leaked version`);
    }
    this.#onLeaked = holders;
  }

  #fenceProvider(call: Call): void {
    if (call.fence < this.#providerFence)
      throw new RotorError('ledger.fenced', { what: 'the provider has seen a later worker' });
    this.#providerFence = call.fence;
  }

  #fenceStore(call: Call): void {
    if (call.fence < this.#storeFence)
      throw new RotorError('store.fenced', { what: 'the store has seen a later worker' });
    this.#storeFence = call.fence;
  }

  #rotator(): Rotator {
    const session: RotatorSession = {
      capabilities: CAPABILITIES,
      format: FORMAT,
      plan: (call, current) =>
        this.#effect('plan', call, () => {
          if (current && !this.accepts(current))
            throw new RotorError('provider.refused-credential', { what: 'current' });
          return { actions: [], warnings: [] };
        }),
      generate: async (call, versionId, current) =>
        credentialOf(
          versionId,
          current?.identity === 'blue' ? 'green' : 'blue',
          `s${call.random.int(1_000_000_000)}`,
        ),
      install: (call, pending) =>
        this.#effect('install', call, () => {
          this.#fenceProvider(call);
          this.accepted.set(pending.identity, pending.secrets.password?.reveal() ?? '');
        }),
      attempt: (call, credential) =>
        this.#effect('attempt', call, () => (this.accepts(credential) ? 'accepted' : 'refused')),
      uninstall: (call, pending, current) =>
        this.#effect('uninstall', call, () => {
          this.#fenceProvider(call);
          if (current?.identity !== pending.identity) this.accepted.set(pending.identity, null);
        }),
      usage: (call, credential) =>
        this.#effect('usage', call, () => {
          const used = this.held?.identity === credential.identity;
          return { sessions: used ? 1 : 0, clients: used ? ['consumer'] : [] };
        }),
      revoke: (call, old) =>
        this.#effect('revoke', call, () => {
          this.#fenceProvider(call);
          this.accepted.set(old.identity, null);
        }),
      close: async () => undefined,
    };
    return { kind: 'simulated', provider: undefined, credential: z.unknown(), open: () => session };
  }

  #store(): Store {
    const session: StoreSession = {
      stage: (call, _path, versionId, document) =>
        this.#effect('stage', call, () => {
          this.#fenceStore(call);
          const known = this.versions.get(versionId);
          if (known && !known.document.equals(document))
            throw new RotorError('store.conflict', { what: 'another document' });
          this.#take('pending');
          this.versions.set(versionId, { document, stages: new Set([...(known?.stages ?? []), 'pending']) });
        }),
      read: (call, _path, which) =>
        this.#effect('read', call, () => {
          const found = [...this.versions].find(([id, version]) =>
            typeof which === 'string' ? version.stages.has(which) : id === which.versionId,
          );
          return found && { versionId: found[0], document: found[1].document };
        }),
      promote: (call, _path, versionId, expected) =>
        this.#effect('promote', call, () => {
          this.#fenceStore(call);
          const current = this.currentVersion();
          if (current === versionId) return;
          const version = this.versions.get(versionId);
          if (!version) throw new RotorError('store.not-found', { what: versionId });
          if (current !== expected)
            throw new RotorError('store.conflict', { what: 'another version is current' });
          this.#take('previous');
          if (current) this.versions.get(current)?.stages.add('previous');
          this.#take('current');
          version.stages.delete('pending');
          version.stages.delete('previous');
          version.stages.add('current');
        }),
      discard: (call, _path, versionId) =>
        this.#effect('discard', call, () => {
          this.#fenceStore(call);
          if (this.currentVersion() === versionId)
            throw new RotorError('store.conflict', { what: 'current' });
          this.versions.delete(versionId);
        }),
      list: async () => [],
      close: async () => undefined,
    };
    return { kind: 'simulated', spec: z.unknown(), open: () => session };
  }

  #take(stage: Stage): void {
    for (const version of this.versions.values()) version.stages.delete(stage);
  }

  #delivery(): Delivery {
    return {
      kind: 'simulated',
      spec: z.unknown(),
      open: () => ({
        target: 'simulated target',
        plan: async () => undefined,
        deliver: (call, credential) =>
          this.#effect('deliver', call, () => {
            this.#fenceStore(call);
            this.delivered = copyOf(credential);
          }),
        holds: (call, credential) =>
          this.#effect('holds', call, () => this.delivered?.versionId === credential.versionId),
      }),
    };
  }

  #rollout(): Rollout {
    return {
      kind: 'simulated',
      spec: z.unknown(),
      open: (consumer) => ({
        consumer,
        plan: async () => undefined,
        move: (call, credential) =>
          this.#effect('move', call, () => {
            this.held = this.delivered;
            if (this.unhealthyWith?.(credential))
              throw new RotorError('rollout.unhealthy', { what: consumer });
            return { consumer, healthy: true, version: 'reported' as const, detail: '' };
          }),
      }),
    };
  }
}

function credentialOf(versionId: string, username: string, password: string): Credential {
  return {
    versionId,
    identity: username,
    fields: { username },
    secrets: { password: SecretValue.of(password) },
  };
}

/** The run that made a credential destroys its secrets when it ends; what consumers hold lives on. */
function copyOf(credential: Credential): Credential {
  return credentialOf(credential.versionId, credential.identity, credential.secrets.password?.reveal() ?? '');
}

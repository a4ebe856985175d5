import { describe, expect, test } from 'vitest';
import { FakeClock } from '../../core/clock.ts';
import type { Credential } from '../../core/credential.ts';
import { RotorError } from '../../core/errors.ts';
import { aCall } from '../../test/setup/call.ts';
import type { Going, RolloutSession } from '../rollouts/rollout.ts';
import type { Done, StepContext, Wait } from '../saga/context.ts';
import type { RolloutLimits } from '../saga/spec.ts';
import { publish } from './publish.ts';
import { proveAgain, rollout } from './rollout.ts';

const credential: Credential = { versionId: 'v1', identity: 'app', fields: {}, secrets: {} };

/** A policy whose consumers need some looks each until they are proven. */
class Shop {
  readonly log: string[] = [];
  readonly looks = new Map<string, number>();
  readonly ill = new Set<string>();
  readonly gone = new Set<string>();
  readonly clock = new FakeClock();
  /** What the session that stands for many finds. */
  found: string[] = [];
  noted: Readonly<Record<string, unknown>> = {};
  direction: Going = 'forward';
  hurried = false;
  readonly facts = new Map<string, Readonly<Record<string, unknown>>>();
  /** What the store gives as current. */
  current = 'v1';
  /** Says that it promotes, and doesn't. */
  deaf = false;
  /** What sessions were told of before. */
  readonly known: unknown[] = [];
  parts: StepContext['parts'];
  readonly #consumers: readonly { readonly name: string; readonly wave?: number }[];
  readonly #limits: RolloutLimits | undefined;

  constructor(
    consumers: readonly { readonly name: string; readonly wave?: number }[],
    limits?: Partial<RolloutLimits>,
  ) {
    this.#consumers = consumers;
    this.#limits = limits && { maxMoving: 1, pauseMs: 0, coalesceMs: 0, ...limits };
    this.parts = this.#opened();
  }

  /** As another worker opens it. */
  #opened(): StepContext['parts'] {
    const rollouts = this.#consumers.map(({ name }) =>
      name === 'all' ? this.#group() : this.#session(name),
    );
    const store = {
      read: async () => ({ versionId: this.current }),
      promote: async (_call: unknown, _path: string, versionId: string) => {
        if (!this.deaf) this.current = versionId;
        this.log.push(`store gives ${versionId}`);
      },
    };
    return { rollouts, store, deliveries: [] } as unknown as StepContext['parts'];
  }

  #session(consumer: string): RolloutSession {
    return {
      consumer,
      plan: async () => undefined,
      ...(consumer === 'mounts' ? { readsStore: true } : {}),
      ...(consumer.startsWith('again') ? { provesAgain: true as const } : {}),
      move: async (_call, _credential, going, _windowMs, known) => {
        this.known.push(known?.before);
        if (this.gone.has(consumer))
          throw new RotorError('cluster.not-found', { what: `${consumer} is gone` });
        if (this.ill.has(consumer)) throw new RotorError('rollout.unhealthy', { what: `${consumer} is ill` });
        const left = this.looks.get(consumer) ?? 0;
        this.looks.set(consumer, left - 1);
        this.log.push(left > 0 ? `${consumer}…` : going === 'forward' ? consumer : `${consumer} back`);
        if (left > 0) return { notYet: `${consumer} moves` };
        return { consumer, healthy: true, version: 'restarted', detail: 'it moved' };
      },
    };
  }

  #group(): RolloutSession {
    return {
      ...this.#session('all'),
      members: async (_call, freshness) => {
        if (freshness === 'caught-up') this.log.push('(looked again)');
        return this.found.map((name) => this.#session(name));
      },
    };
  }

  anotherWorker(): void {
    this.parts = this.#opened();
  }

  context(): StepContext {
    const { direction, noted, clock } = this;
    return {
      rotation: { hurried: this.hurried },
      versions: async () => [],
      parts: this.parts,
      spec: {
        store: { path: 'shop/db' },
        consumers: this.#consumers,
        ...(this.#limits ? { rollout: this.#limits } : {}),
      },
      oldVersion: 'v0',
      newVersion: 'v1',
      position: { direction, noted, facts: this.facts, announcedAt: new Map(), backSince: undefined },
      call: () => aCall({ clock }),
      newCredential: async () => credential,
      oldCredential: async () => credential,
      now: async () => clock.now(),
    } as unknown as StepContext;
  }

  async look(): Promise<Done | Wait> {
    const outcome = await (this.direction === 'forward'
      ? rollout.perform(this.context())
      : rollout.undo?.(this.context()));
    if (!outcome) throw new Error('there is an undo');
    if ('waitMs' in outcome && outcome.note) this.noted = outcome.note;
    return outcome;
  }

  /** As the engine does. */
  async untilDone(): Promise<Done> {
    for (let looks = 0; looks < 100; looks += 1) {
      const outcome = await this.look();
      if (!('waitMs' in outcome)) return outcome;
      this.clock.advance(outcome.waitMs);
    }
    throw new Error('it never ended');
  }
}

describe('consumers', () => {
  test('move one after the other as they are listed, when the policy says nothing', async () => {
    const shop = new Shop([{ name: 'a' }, { name: 'b' }]);
    shop.looks.set('a', 2);
    const done = await shop.untilDone();
    expect(shop.log).toEqual(['a…', 'a…', 'a', 'b']);
    expect(done.facts.proofs).toMatchObject([{ consumer: 'a' }, { consumer: 'b' }]);
  });

  test('move in waves, several at once, and those that are proven are not asked again', async () => {
    const shop = new Shop([{ name: 'late', wave: 1 }, { name: 'a' }, { name: 'b' }, { name: 'c' }], {
      maxMoving: 2,
    });
    shop.looks.set('b', 2);
    await shop.untilDone();
    expect(shop.log).toEqual(['a', 'b…', 'b…', 'c', 'b', 'late']);
  });

  test('pause no longer once an incident hurries them', async () => {
    const shop = new Shop([{ name: 'canary' }, { name: 'rest', wave: 1 }], { pauseMs: 60_000 });
    expect(await shop.look()).toMatchObject({ waitMs: 60_000 });
    shop.hurried = true;
    const done = await shop.look();
    expect('waitMs' in done).toBe(false);
    expect(shop.log).toEqual(['canary', 'rest']);
  });

  test('pause between waves, however many workers come and go meanwhile', async () => {
    const shop = new Shop([{ name: 'canary' }, { name: 'rest', wave: 1 }], { pauseMs: 60_000 });
    expect(await shop.look()).toMatchObject({ waitMs: 60_000, note: { pauses: { 1: expect.any(String) } } });
    shop.clock.advance(45_000);
    shop.anotherWorker();
    const still = await shop.look();
    expect(still).toMatchObject({ waitMs: 15_000, reason: expect.stringContaining('wave 1') });
    expect(still).not.toHaveProperty('note');
    shop.clock.advance(15_000);
    shop.anotherWorker();
    expect(await shop.look()).toHaveProperty('facts.proofs');
    expect(shop.log).toEqual(['canary', 'canary', 'canary', 'rest']);
  });

  test('a failure in a later wave leaves the rest alone, and all go back in reverse order', async () => {
    const shop = new Shop([{ name: 'a' }, { name: 'b', wave: 1 }, { name: 'c', wave: 2 }]);
    shop.ill.add('b');
    await expect(shop.untilDone()).rejects.toMatchObject({ code: 'rollout.unhealthy' });
    expect(shop.log).toEqual(['a']);
    shop.log.length = 0;
    shop.ill.clear();
    shop.direction = 'back';
    await shop.untilDone();
    expect(shop.log).toEqual(['c back', 'b back', 'a back']);
  });

  test('who reads the store itself goes back after the store has, which is told again when it is undone', async () => {
    const shop = new Shop([{ name: 'mounts' }, { name: 'web' }]);
    shop.looks.set('mounts', 1);
    shop.direction = 'back';
    await shop.untilDone();
    expect(shop.log).toEqual(['store gives v0', 'web back', 'mounts…', 'mounts back']);
    expect(await publish.undo?.(shop.context())).toMatchObject({
      facts: { current: 'v0' },
      versions: [
        { id: 'v0', state: 'current' },
        { id: 'v1', state: 'pending' },
      ],
    });
    const deaf = new Shop([{ name: 'mounts' }]);
    deaf.deaf = true;
    deaf.direction = 'back';
    await expect(deaf.untilDone()).rejects.toMatchObject({ code: 'store.conflict' });
    expect(deaf.log).toEqual(['store gives v0']);
    const delivered = new Shop([{ name: 'web' }]);
    delivered.direction = 'back';
    await delivered.untilDone();
    expect(delivered.current).toBe('v1');
  });

  test('are told what was seen of them before anything was changed', async () => {
    const shop = new Shop([{ name: 'a' }, { name: 'b' }]);
    shop.facts.set('plan', { before: { b: { versions: {} } } });
    await shop.untilDone();
    expect(shop.known).toEqual([undefined, { versions: {} }]);
  });

  test('who appears while the others move is moved too', async () => {
    const shop = new Shop([{ name: 'all' }]);
    shop.found = ['web'];
    shop.looks.set('web', 1);
    await shop.look();
    shop.found = ['new', 'web'];
    const { facts } = await shop.untilDone();
    expect(shop.log).toEqual(['web…', 'web', 'new', '(looked again)']);
    expect(facts.proofs).toMatchObject([{ consumer: 'new' }, { consumer: 'web' }]);
  });

  test('before the old credential dies, who was found is looked at once more, and who came since is moved', async () => {
    const shop = new Shop([{ name: 'all' }, { name: 'listed' }]);
    shop.found = ['web'];
    await shop.untilDone();
    shop.found = ['web', 'late'];
    shop.looks.set('late', 1);
    shop.log.length = 0;
    expect(await proveAgain(shop.context())).toMatchObject({ reason: 'late moves' });
    expect(await proveAgain(shop.context())).toMatchObject({
      proofs: [{ consumer: 'web' }, { consumer: 'late' }],
    });
    expect(shop.log).toEqual(['(looked again)', 'web', 'late…', '(looked again)', 'web', 'late']);
    expect(await proveAgain(new Shop([{ name: 'listed' }]).context())).toBeUndefined();
  });

  test('so are those listed that can be asked twice; one that was deleted since is no longer waited for', async () => {
    const shop = new Shop([{ name: 'again' }, { name: 'twin' }, { name: 'again-gone' }]);
    await shop.untilDone();
    shop.gone.add('again-gone');
    shop.looks.set('again', 1);
    shop.log.length = 0;
    expect(await proveAgain(shop.context())).toMatchObject({ reason: 'again moves' });
    expect(await proveAgain(shop.context())).toEqual({
      proofs: [expect.objectContaining({ consumer: 'again' })],
    });
    expect(shop.log).toEqual(['again…', 'again']);
  });
});

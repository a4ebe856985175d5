import { randomUUID } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { noLedger } from '../../ledger/database.ts';
import type { StoreLimits, StoreSession } from '../../stores/store.ts';
import { allStores } from '../../workers/stageless/stores.ts';
import { WHOLE } from '../setup/matrix.ts';
import { callThatEndsAfter, callWith } from './stores-calls.ts';
import { keyring, type StoreScenario, storeScenarios } from './stores-scenarios.ts';

const registered = allStores({ keyring, ledger: noLedger });
const path = 'shop/app';
const text = (name: string) =>
  SecretValue.of(JSON.stringify({ username: name, password: `pw-${name}-${'x'.repeat(20)}` }));
const code = (wanted: string) => expect.objectContaining({ code: wanted });

/** Versions have ids as the ledger makes them; the kit calls them by letters. */
const ids = new Map<string, string>();
function id(letter: string): string {
  const known = ids.get(letter) ?? randomUUID();
  ids.set(letter, known);
  return known;
}
function letterOf(versionId: string): string {
  return [...ids].find(([, known]) => known === versionId)?.[0] ?? versionId;
}

/** `a=current b=pending`, oldest first. Versions without a stage may be pruned at any time, so they don't count. */
async function stagesOf(store: StoreSession): Promise<string> {
  const versions = await store.list(callWith(0n), path);
  return [...versions]
    .reverse()
    .filter(({ stages }) => stages.length > 0)
    .map(({ versionId, stages }) => `${letterOf(versionId)}=${stages.join('+')}`)
    .join(' ');
}

test('every registered store has a scenario here, and every scenario a store', () => {
  expect(Object.keys(storeScenarios).sort()).toEqual(registered.map(({ kind }) => kind).sort());
});

/** Every store at every server that it is tried on. */
const tried = registered.flatMap(({ kind, limits = {} as StoreLimits }) => {
  const scenario = storeScenarios[kind] as StoreScenario;
  return [scenario, ...(scenario.also ?? [])].map((each) => ({ kind, limits, scenario: each }));
});
const passed = new Map<StoreScenario, number>();
afterAll(async () => {
  const rows = tried.map(({ kind, scenario }) => ({
    store: kind,
    server: scenario.skipped ? `none${scenario.skipped}` : scenario.server,
    'cases passed': passed.get(scenario) ?? 0,
  }));
  // For the reader of the suite's output: what each store was tried on.
  console.table(rows);
  for (const { stop } of Object.values(storeScenarios)) await stop?.();
});

for (const { kind, limits, scenario } of tried) {
  const where = storeScenarios[kind] === scenario ? kind : `${kind} (${scenario.server})`;
  const promise = (title: string, keep: () => Promise<void>) =>
    test.skipIf(scenario.skipped !== '')(
      `${where}: ${title}${scenario.skipped}`,
      { timeout: 120_000 },
      async () => {
        await keep();
        passed.set(scenario, (passed.get(scenario) ?? 0) + 1);
      },
    );
  const fresh = async () => {
    const home = await scenario.home();
    return { ...home, store: home.open() };
  };
  const withAAndB = async () => {
    const home = await fresh();
    await home.store.stage(callWith(1n), path, id('a'), text('a'));
    await home.store.promote(callWith(1n), path, id('a'), undefined);
    await home.store.stage(callWith(1n), path, id('b'), text('b'));
    return home;
  };

  promise('a staged version is read back by stage and by id, from any session', async () => {
    const { store, open } = await fresh();
    await store.stage(callWith(1n), path, id('a'), text('a'));
    for (const session of [store, open()]) {
      for (const which of ['pending', { versionId: id('a') }] as const) {
        const found = await session.read(callWith(0n), path, which);
        expect(found?.versionId).toBe(id('a'));
        expect(found?.document.equals(text('a'))).toBe(true);
      }
    }
    expect(await store.read(callWith(0n), path, 'current')).toBeUndefined();
  });

  promise('an unknown path has no versions and reads as nothing', async () => {
    const { store } = await fresh();
    expect(await store.list(callWith(0n), 'never/seen')).toEqual([]);
    for (const which of ['current', { versionId: id('a') }] as const) {
      expect(await store.read(callWith(0n), 'never/seen', which)).toBeUndefined();
    }
    await store.discard(callWith(1n), 'never/seen', id('a'));
    await expect(store.promote(callWith(1n), 'never/seen', id('a'), undefined)).rejects.toEqual(
      code('store.not-found'),
    );
  });

  promise('one path beneath another is a path of its own', async () => {
    const { store } = await fresh();
    await store.stage(callWith(1n), 'shop', id('a'), text('a'));
    await store.stage(callWith(1n), 'shop/app', id('b'), text('b'));
    expect((await store.read(callWith(0n), 'shop', 'pending'))?.versionId).toBe(id('a'));
    expect((await store.read(callWith(0n), 'shop/app', 'pending'))?.versionId).toBe(id('b'));
  });

  promise('promoting makes the current one previous, and promoting back swaps them', async () => {
    const { store } = await withAAndB();
    expect(await stagesOf(store)).toBe('a=current b=pending');
    await store.promote(callWith(1n), path, id('b'), id('a'));
    expect(await stagesOf(store)).toBe('a=previous b=current');
    await store.promote(callWith(1n), path, id('a'), id('b'));
    expect(await stagesOf(store)).toBe('a=current b=previous');
    expect((await store.read(callWith(0n), path, 'current'))?.document.equals(text('a'))).toBe(true);
  });

  promise('versions are listed newest first', async () => {
    const { store } = await withAAndB();
    const versions = await store.list(callWith(0n), path);
    expect(versions.map(({ versionId }) => versionId)).toEqual([id('b'), id('a')]);
    for (const { createdAt } of versions)
      expect(Math.abs(createdAt.getTime() - Date.now())).toBeLessThan(60_000);
  });

  promise('another pending version takes the stage from the first', async () => {
    const { store } = await withAAndB();
    await store.stage(callWith(1n), path, id('c'), text('c'));
    expect(await stagesOf(store)).toBe('a=current c=pending');
  });

  promise('repeating anything changes nothing', async () => {
    const { store } = await withAAndB();
    await store.stage(callWith(1n), path, id('b'), text('b'));
    expect(await stagesOf(store)).toBe('a=current b=pending');
    await store.promote(callWith(1n), path, id('b'), id('a'));
    await store.promote(callWith(1n), path, id('b'), id('a'));
    await store.stage(callWith(1n), path, id('b'), text('b'));
    expect(await stagesOf(store)).toBe('a=previous b=current');
    await store.discard(callWith(1n), path, id('a'));
    await store.discard(callWith(1n), path, id('a'));
    expect(await stagesOf(store)).toBe('b=current');
  });

  promise('the same id with another document is a conflict, and the first document stays', async () => {
    const { store } = await withAAndB();
    await expect(store.stage(callWith(1n), path, id('b'), text('other'))).rejects.toEqual(
      code('store.conflict'),
    );
    expect((await store.read(callWith(0n), path, 'pending'))?.document.equals(text('b'))).toBe(true);
  });

  promise('promoting over another version than expected is a conflict and changes nothing', async () => {
    const { store } = await withAAndB();
    for (const expected of [undefined, id('b'), id('unknown')]) {
      await expect(store.promote(callWith(1n), path, id('b'), expected)).rejects.toEqual(
        code('store.conflict'),
      );
    }
    await expect(store.promote(callWith(1n), path, id('unknown'), id('a'))).rejects.toEqual(
      code('store.not-found'),
    );
    expect(await stagesOf(store)).toBe('a=current b=pending');
  });

  promise('discarding takes a version away; the current version is refused', async () => {
    const { store } = await withAAndB();
    await store.discard(callWith(1n), path, id('b'));
    expect(await store.read(callWith(0n), path, 'pending')).toBeUndefined();
    if (limits.destroys !== false)
      expect(await store.read(callWith(0n), path, { versionId: id('b') })).toBeUndefined();
    await expect(store.discard(callWith(1n), path, id('a'))).rejects.toEqual(code('store.conflict'));
    expect(await stagesOf(store)).toBe('a=current');
  });

  promise('of several workers that promote at once exactly one wins', async () => {
    const { store, open } = await withAAndB();
    const rivals = ['c', 'd', 'e', 'f'].map(id);
    for (const versionId of rivals) await store.stage(callWith(1n), path, versionId, text(versionId));
    const outcomes = await Promise.allSettled(
      rivals.map((versionId) => open().promote(callWith(1n), path, versionId, id('a'))),
    );
    const winners = rivals.filter((_, index) => outcomes[index]?.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(code('store.conflict'));
    }
    expect((await store.read(callWith(0n), path, 'current'))?.versionId).toBe(winners[0]);
    expect((await store.read(callWith(0n), path, 'previous'))?.versionId).toBe(id('a'));
  });

  promise('documents of 1 byte to the longest come back byte for byte', async () => {
    const { store } = await fresh();
    const longest = Math.min(limits.maxBytes ?? 102_000, 102_000);
    const documents = { tiny: '{', large: 'ü$\n"\\'.repeat(longest / 6), zero: 'a\u0000b' };
    for (const [letter, document] of Object.entries(documents)) {
      await store.stage(callWith(1n), path, id(letter), SecretValue.of(document));
      const found = await store.read(callWith(0n), path, { versionId: id(letter) });
      expect(found?.document.equals(SecretValue.of(document))).toBe(true);
    }
    expect(Buffer.byteLength(documents.large)).toBeGreaterThan(longest - 6);
  });

  const { maxBytes } = limits;
  if (maxBytes !== undefined) {
    promise('a document that is too long is refused by its length, before anything is changed', async () => {
      const { store } = await withAAndB();
      const error = await store
        .stage(callWith(1n), path, id('c'), SecretValue.of('ü'.repeat(maxBytes / 2 + 1)))
        .catch((thrown: RotorError) => thrown);
      expect(error).toEqual(code('store.too-large'));
      expect(String(error)).toContain(`${maxBytes + 2} bytes`);
      expect(await stagesOf(store)).toBe('a=current b=pending');
    });
  }

  if (limits.fences !== false) {
    promise('a worker with an older fencing token can no longer write, and still reads', async () => {
      const { store } = await withAAndB();
      // Nothing to change, but the token must be remembered all the same.
      await store.promote(callWith(9n), path, id('a'), undefined);
      const late = callWith(8n);
      await expect(store.promote(late, path, id('b'), id('a'))).rejects.toEqual(code('store.fenced'));
      await expect(store.stage(late, path, id('c'), text('c'))).rejects.toEqual(code('store.fenced'));
      await expect(store.discard(late, path, id('b'))).rejects.toEqual(code('store.fenced'));
      expect(await stagesOf(store)).toBe('a=current b=pending');
      expect((await store.read(late, path, 'current'))?.versionId).toBe(id('a'));
    });
  } else {
    promise('a worker that slept moves no label away from where a later one has put it', async () => {
      const { store, open } = await withAAndB();
      const late = open();
      await store.promote(callWith(2n), path, id('b'), id('a'));
      await store.stage(callWith(3n), path, id('c'), text('c'));
      await store.promote(callWith(3n), path, id('c'), id('b'));
      await expect(late.promote(callWith(1n), path, id('b'), id('a'))).rejects.toEqual(
        code('store.conflict'),
      );
      await expect(late.discard(callWith(1n), path, id('c'))).rejects.toEqual(code('store.conflict'));
      expect(await stagesOf(store)).toBe('b=previous c=current');
    });
  }

  promise(
    'a call that ends at any point leaves the old state or the new, and a repeat finishes',
    async () => {
      const operations: ReadonlyArray<
        readonly [string, string, (store: StoreSession, looks?: number) => Promise<void>]
      > = [
        [
          'a=current b=pending',
          'a=current c=pending',
          (store, looks) => store.stage(at(looks), path, id('c'), text('c')),
        ],
        [
          'a=current b=pending',
          'a=previous b=current',
          (store, looks) => store.promote(at(looks), path, id('b'), id('a')),
        ],
        ['a=current b=pending', 'a=current', (store, looks) => store.discard(at(looks), path, id('b'))],
      ];
      for (const [before, after, operate] of operations) {
        let failed = 0;
        for (let looks = 0; ; looks += WHOLE ? 1 : 3) {
          const { store } = await withAAndB();
          const outcome = await operate(store, looks).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (outcome === undefined) break;
          expect(outcome).toBeInstanceOf(RotorError);
          expect([before, after]).toContain(await stagesOf(store));
          await operate(store);
          expect(await stagesOf(store)).toBe(after);
          failed += 1;
        }
        expect(failed).toBeGreaterThan(0);
      }
      function at(looks: number | undefined) {
        return looks === undefined ? callWith(1n) : callThatEndsAfter(looks, 1n);
      }
    },
  );

  promise('nothing at rest shows the plaintext in any likely encoding, nor do errors', async () => {
    const { store, atRest } = await fresh();
    const marker = 'marker/7f3a+Zq~ü"end';
    const document = SecretValue.of(marker);
    await store.stage(callWith(1n), path, id('a'), document);
    await store.promote(callWith(1n), path, id('a'), undefined);
    const error = await store
      .stage(callWith(1n), path, id('a'), text('x'))
      .catch((thrown: RotorError) => thrown);
    expect(JSON.stringify(error)).not.toContain('marker');
    if (!atRest) return;
    const everything = await atRest();
    expect(everything.length).toBeGreaterThan(1);
    const bytes = Buffer.from(marker);
    const forms = [
      marker,
      JSON.stringify(marker).slice(1, -1),
      encodeURIComponent(marker),
      bytes.toString('hex'),
      // Base64 of the middle, at each of the three alignments.
      ...[0, 1, 2].map((skip) => bytes.subarray(skip, skip + 15).toString('base64')),
      ...[0, 1, 2].map((skip) => bytes.subarray(skip, skip + 15).toString('base64url')),
    ];
    for (const content of everything) for (const form of forms) expect(content.includes(form)).toBe(false);
  });
}

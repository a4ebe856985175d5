import { expect, test } from 'vitest';
import { RotorError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret.ts';
import { stores } from '../../stores/registry.ts';
import type { StoreSession } from '../../stores/store.ts';
import { callThatEndsAfter, callWith } from './stores-calls.ts';
import { keyring, storeScenarios } from './stores-scenarios.ts';

const registered = stores({ keyring }).map(({ kind }) => kind);
const path = 'shop/app';
const text = (name: string) =>
  SecretValue.of(JSON.stringify({ username: name, password: `pw-${name}-${'x'.repeat(20)}` }));
const code = (wanted: string) => expect.objectContaining({ code: wanted });

/** `a=current b=pending c=`, oldest first. */
async function stagesOf(store: StoreSession): Promise<string> {
  const versions = await store.list(callWith(0n), path);
  return [...versions]
    .reverse()
    .map(({ versionId, stages }) => `${versionId}=${stages.join('+')}`)
    .join(' ');
}

test('every registered store has a scenario here, and every scenario a store', () => {
  expect(Object.keys(storeScenarios).sort()).toEqual([...registered].sort());
});

for (const kind of registered) {
  const fresh = async () => {
    const scenario = await (
      storeScenarios[kind] as () => ReturnType<NonNullable<(typeof storeScenarios)[string]>>
    )();
    return { ...scenario, store: scenario.open() };
  };
  const withAAndB = async () => {
    const home = await fresh();
    await home.store.stage(callWith(1n), path, 'a', text('a'));
    await home.store.promote(callWith(1n), path, 'a', undefined);
    await home.store.stage(callWith(1n), path, 'b', text('b'));
    return home;
  };

  test(`${kind}: a staged version is read back by stage and by id, from any session`, async () => {
    const { store, open } = await fresh();
    await store.stage(callWith(1n), path, 'a', text('a'));
    for (const session of [store, open()]) {
      for (const which of ['pending', { versionId: 'a' }] as const) {
        const found = await session.read(callWith(0n), path, which);
        expect(found?.versionId).toBe('a');
        expect(found?.document.equals(text('a'))).toBe(true);
      }
    }
    expect(await store.read(callWith(0n), path, 'current')).toBeUndefined();
  });

  test(`${kind}: an unknown path has no versions and reads as nothing`, async () => {
    const { store } = await fresh();
    expect(await store.list(callWith(0n), 'never/seen')).toEqual([]);
    for (const which of ['current', { versionId: 'a' }] as const) {
      expect(await store.read(callWith(0n), 'never/seen', which)).toBeUndefined();
    }
    await store.discard(callWith(1n), 'never/seen', 'a');
    await expect(store.promote(callWith(1n), 'never/seen', 'a', undefined)).rejects.toEqual(
      code('store.not-found'),
    );
  });

  test(`${kind}: one path beneath another is a path of its own`, async () => {
    const { store } = await fresh();
    await store.stage(callWith(1n), 'shop', 'a', text('a'));
    await store.stage(callWith(1n), 'shop/app', 'b', text('b'));
    expect((await store.read(callWith(0n), 'shop', 'pending'))?.versionId).toBe('a');
    expect((await store.read(callWith(0n), 'shop/app', 'pending'))?.versionId).toBe('b');
  });

  test(`${kind}: promoting makes the current one previous, and promoting back swaps them`, async () => {
    const { store } = await withAAndB();
    expect(await stagesOf(store)).toBe('a=current b=pending');
    await store.promote(callWith(1n), path, 'b', 'a');
    expect(await stagesOf(store)).toBe('a=previous b=current');
    await store.promote(callWith(1n), path, 'a', 'b');
    expect(await stagesOf(store)).toBe('a=current b=previous');
    expect((await store.read(callWith(0n), path, 'current'))?.document.equals(text('a'))).toBe(true);
  });

  test(`${kind}: versions are listed newest first`, async () => {
    const { store } = await withAAndB();
    const versions = await store.list(callWith(0n), path);
    expect(versions.map(({ versionId }) => versionId)).toEqual(['b', 'a']);
    for (const { createdAt } of versions)
      expect(Math.abs(createdAt.getTime() - Date.now())).toBeLessThan(60_000);
  });

  test(`${kind}: another pending version takes the stage from the first`, async () => {
    const { store } = await withAAndB();
    await store.stage(callWith(1n), path, 'c', text('c'));
    expect(await stagesOf(store)).toBe('a=current b= c=pending');
  });

  test(`${kind}: repeating anything changes nothing`, async () => {
    const { store } = await withAAndB();
    await store.stage(callWith(1n), path, 'b', text('b'));
    expect(await stagesOf(store)).toBe('a=current b=pending');
    await store.promote(callWith(1n), path, 'b', 'a');
    await store.promote(callWith(1n), path, 'b', 'a');
    await store.stage(callWith(1n), path, 'b', text('b'));
    expect(await stagesOf(store)).toBe('a=previous b=current');
    await store.discard(callWith(1n), path, 'a');
    await store.discard(callWith(1n), path, 'a');
    expect(await stagesOf(store)).toBe('b=current');
  });

  test(`${kind}: the same id with another document is a conflict, and the first document stays`, async () => {
    const { store } = await withAAndB();
    await expect(store.stage(callWith(1n), path, 'b', text('other'))).rejects.toEqual(code('store.conflict'));
    expect((await store.read(callWith(0n), path, 'pending'))?.document.equals(text('b'))).toBe(true);
  });

  test(`${kind}: promoting over another version than expected is a conflict and changes nothing`, async () => {
    const { store } = await withAAndB();
    for (const expected of [undefined, 'b', 'unknown']) {
      await expect(store.promote(callWith(1n), path, 'b', expected)).rejects.toEqual(code('store.conflict'));
    }
    await expect(store.promote(callWith(1n), path, 'unknown', 'a')).rejects.toEqual(code('store.not-found'));
    expect(await stagesOf(store)).toBe('a=current b=pending');
  });

  test(`${kind}: discarding removes the document; the current version is refused`, async () => {
    const { store } = await withAAndB();
    await store.discard(callWith(1n), path, 'b');
    expect(await store.read(callWith(0n), path, { versionId: 'b' })).toBeUndefined();
    await expect(store.discard(callWith(1n), path, 'a')).rejects.toEqual(code('store.conflict'));
    expect(await stagesOf(store)).toBe('a=current');
  });

  test(`${kind}: of several workers that promote at once exactly one wins`, async () => {
    const { store, open } = await withAAndB();
    const rivals = ['c', 'd', 'e', 'f'];
    for (const versionId of rivals) await store.stage(callWith(1n), path, versionId, text(versionId));
    const outcomes = await Promise.allSettled(
      rivals.map((versionId) => open().promote(callWith(1n), path, versionId, 'a')),
    );
    const winners = rivals.filter((_, index) => outcomes[index]?.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(code('store.conflict'));
    }
    expect((await store.read(callWith(0n), path, 'current'))?.versionId).toBe(winners[0]);
    expect((await store.read(callWith(0n), path, 'previous'))?.versionId).toBe('a');
  });

  test(`${kind}: documents of 1 byte to 100 kB come back byte for byte`, async () => {
    const { store } = await fresh();
    const documents = { tiny: '{', large: 'ü$\n"\\'.repeat(17_000), zero: 'a\u0000b' };
    for (const [versionId, document] of Object.entries(documents)) {
      await store.stage(callWith(1n), path, versionId, SecretValue.of(document));
      const found = await store.read(callWith(0n), path, { versionId });
      expect(found?.document.equals(SecretValue.of(document))).toBe(true);
    }
    expect(Buffer.byteLength(documents.large)).toBeGreaterThan(100_000);
  });

  test(`${kind}: a worker with an older fencing token can no longer write, and still reads`, async () => {
    const { store } = await withAAndB();
    // Nothing to change, but the token must be remembered all the same.
    await store.promote(callWith(9n), path, 'a', undefined);
    const late = callWith(8n);
    await expect(store.promote(late, path, 'b', 'a')).rejects.toEqual(code('store.fenced'));
    await expect(store.stage(late, path, 'c', text('c'))).rejects.toEqual(code('store.fenced'));
    await expect(store.discard(late, path, 'b')).rejects.toEqual(code('store.fenced'));
    expect(await stagesOf(store)).toBe('a=current b=pending');
    expect((await store.read(late, path, 'current'))?.versionId).toBe('a');
  });

  test(`${kind}: a call that ends at any point leaves the old state or the new, and a repeat finishes`, async () => {
    const operations: ReadonlyArray<
      readonly [string, string, (store: StoreSession, looks?: number) => Promise<void>]
    > = [
      [
        'a=current b=pending',
        'a=current b= c=pending',
        (store, looks) => store.stage(at(looks), path, 'c', text('c')),
      ],
      [
        'a=current b=pending',
        'a=previous b=current',
        (store, looks) => store.promote(at(looks), path, 'b', 'a'),
      ],
      ['a=current b=pending', 'a=current', (store, looks) => store.discard(at(looks), path, 'b')],
    ];
    for (const [before, after, operate] of operations) {
      let failed = 0;
      for (let looks = 0; ; looks += 1) {
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
  });

  test(`${kind}: nothing at rest shows the plaintext in any likely encoding, nor do errors`, async () => {
    const { store, atRest } = await fresh();
    const marker = 'marker/7f3a+Zq~ü"end';
    const document = SecretValue.of(marker);
    await store.stage(callWith(1n), path, 'a', document);
    await store.promote(callWith(1n), path, 'a', undefined);
    const error = await store.stage(callWith(1n), path, 'a', text('x')).catch((thrown: RotorError) => thrown);
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

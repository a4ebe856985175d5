import { chmod, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { open, rewrap, seal } from './seal.ts';
import { createKeyFile, loadKeyring } from './seal-key-file.ts';
import { Keyring, newKey } from './seal-keyring.ts';
import { SecretValue } from './secret.ts';

const context = ['store.local', 'shop/app', 'v1'];
const temporary = () => mkdtemp(join(tmpdir(), 'rotor-seal-'));

test('what is sealed opens again, for any text and any context', () => {
  const keyring = Keyring.generate();
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.string()), (text, words) => {
      const sealed = seal(keyring, SecretValue.of(text), words);
      expect(sealed).toMatch(/^[\w.-]+$/);
      expect(open(keyring, sealed, words).equals(SecretValue.of(text))).toBe(true);
    }),
  );
});

test('a sealed value opens for no other context, even when the words run together the same', () => {
  const keyring = Keyring.generate();
  const sealed = seal(keyring, SecretValue.of('hunter2'), ['a', 'bc']);
  for (const other of [['ab', 'c'], ['a', 'b', 'c'], ['bc', 'a'], ['a'], []]) {
    expect(() => open(keyring, sealed, other)).toThrow(expect.objectContaining({ code: 'store.sealed' }));
  }
});

test('changing any character of a sealed value is noticed and nothing of it is quoted', () => {
  const keyring = Keyring.generate();
  const sealed = seal(keyring, SecretValue.of('hunter2-hunter2'), context);
  fc.assert(
    fc.property(fc.nat(sealed.length - 1), fc.constantFrom('A', 'z', '0', '.', '-'), (at, character) => {
      fc.pre(sealed[at] !== character);
      const changed = `${sealed.slice(0, at)}${character}${sealed.slice(at + 1)}`;
      // The last character of a base64 group may carry unused bits: then the bytes are the same.
      const bytes = (text: string) =>
        text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
      fc.pre(bytes(changed).join() !== bytes(sealed).join() || changed.split('.').length !== 5);
      expect(() => open(keyring, changed, context)).toThrow(
        expect.objectContaining({ code: 'store.sealed' }),
      );
    }),
  );
});

test('bytes that are no text are refused instead of being sealed as something else', () => {
  const attempt = () => seal(Keyring.generate(), SecretValue.of(Buffer.from([0xff, 0xfe])), context);
  expect(attempt).toThrow(expect.objectContaining({ code: 'internal.bug' }));
});

test('the same secret never seals to the same text twice', () => {
  const keyring = Keyring.generate();
  const made = new Set(Array.from({ length: 100 }, () => seal(keyring, SecretValue.of('same'), context)));
  expect(made.size).toBe(100);
});

test('after a key rotation old values open, rewrapped ones need the new key only', () => {
  const [oldKey, newKeyBytes, stable] = [newKey(), newKey(), newKey()];
  const before = Keyring.of([Buffer.from(oldKey)], Buffer.from(stable));
  const both = Keyring.of([Buffer.from(newKeyBytes), Buffer.from(oldKey)], Buffer.from(stable));
  const after = Keyring.of([Buffer.from(newKeyBytes)], Buffer.from(stable));
  const sealed = seal(before, SecretValue.of('hunter2'), context);
  expect(open(both, sealed, context).reveal()).toBe('hunter2');
  expect(() => open(after, sealed, context)).toThrow(before.activeKeyId);
  const moved = rewrap(both, sealed);
  expect(open(after, moved, context).reveal()).toBe('hunter2');
  expect(rewrap(both, moved)).toBe(moved);
});

test('fingerprints stay comparable when the key-encryption key rotates', () => {
  const stable = newKey();
  const first = Keyring.of([newKey()], Buffer.from(stable)).derive('fingerprint');
  const later = Keyring.of([newKey()], Buffer.from(stable)).derive('fingerprint');
  expect(first.equals(later)).toBe(true);
  expect(first.equals(Keyring.of([newKey()], stable).derive('local-store-index'))).toBe(false);
});

test('a keyring shows no key when it is printed', () => {
  const key = newKey();
  const shown = inspect(Keyring.of([key], newKey()), { showHidden: true, depth: 9 });
  for (const encoding of ['hex', 'base64'] as const) expect(shown).not.toContain(key.toString(encoding));
  expect(shown).not.toContain('Buffer');
});

test('a created key file is private, is never overwritten, and loads to the same keys each time', async () => {
  const file = join(await temporary(), 'key');
  await createKeyFile(file);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const sealed = seal(await loadKeyring(file), SecretValue.of('hunter2'), context);
  await expect(createKeyFile(file)).rejects.toMatchObject({ code: 'config.invalid' });
  expect(open(await loadKeyring(file), sealed, context).reveal()).toBe('hunter2');
});

test('the first key of the file seals and the further ones open', async () => {
  const file = join(await temporary(), 'key');
  await createKeyFile(file);
  const old = await loadKeyring(file);
  await writeFile(file, `${newKey().toString('base64')}\n${await readFile(file, 'utf8')}`);
  const rotated = await loadKeyring(file);
  expect(rotated.keyIds.slice(1)).toEqual(old.keyIds);
  expect(rotated.activeKeyId).not.toBe(old.activeKeyId);
});

test('a key file that others may read is refused', async () => {
  const file = join(await temporary(), 'key');
  await createKeyFile(file);
  for (const mode of [0o604, 0o640, 0o644, 0o620]) {
    await chmod(file, mode);
    await expect(loadKeyring(file)).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringMatching(/0\d{3}/),
    });
  }
});

test('a malformed key file is refused by line number, without quoting it', async () => {
  const good = newKey().toString('base64');
  const wrong: ReadonlyArray<readonly [string, RegExp]> = [
    ['', /holds no key/],
    [good, /no line "fingerprint:/],
    [`fingerprint:${good}`, /holds no key/],
    [`${good}\nNOT-A-KEY-hunter2\nfingerprint:${good}`, /line 2 is not/],
    [`${good.slice(4)}\nfingerprint:${good}`, /line 1 is not/],
    [`${good}\nfingerprint:${good}\nfingerprint:${good}`, /second fingerprint/],
  ];
  for (const [content, message] of wrong) {
    const file = join(await temporary(), 'key');
    await writeFile(file, content, { mode: 0o600 });
    const error = await loadKeyring(file).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'config.invalid', message: expect.stringMatching(message) });
    expect(inspect(error)).not.toContain('hunter2');
    expect(inspect(error)).not.toContain(good.slice(4, 20));
  }
  await expect(loadKeyring('/nowhere/key')).rejects.toMatchObject({ code: 'config.invalid' });
});

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Credential } from '../../../core/credential.ts';
import { SecretValue } from '../../../core/secret.ts';
import { FILTERS } from '../template.ts';
import { render } from './render.ts';

const credential = (password: string, fields: Record<string, string> = {}): Credential => ({
  versionId: 'v1',
  identity: 'app',
  fields: { username: 'app', ...fields },
  secrets: { password: SecretValue.of(password) },
});

test('json holds every field and the version, and parses back for any password', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (password) => {
      const text = render({ format: 'json' }, credential(password)).reveal();
      expect(JSON.parse(text)).toEqual({ username: 'app', password, versionId: 'v1' });
    }),
  );
});

test('env is read back by a real shell for every password that it takes', () => {
  for (const password of ['plain-123', 'a b', '$HOME `id` "x" \\ #;&', '%/+=@:,', '']) {
    const text = render({ format: 'env' }, credential(password, { accessKeyId: 'AK' })).reveal();
    const shown = execFileSync(
      'sh',
      ['-c', 'eval "$(cat)"; printf %s "$ACCESS_KEY_ID|$PASSWORD|$USERNAME|$VERSION_ID"'],
      {
        input: text,
      },
    );
    expect(shown.toString()).toBe(`AK|${password}|app|v1`);
  }
});

test('env refuses what readers of env files disagree on, without quoting it', () => {
  for (const password of ["it's", 'two\nlines', 'nul\0']) {
    const attempt = () => render({ format: 'env' }, credential(password));
    expect(attempt).toThrow(
      expect.objectContaining({
        code: 'manifest.invalid',
        message: expect.stringMatching(/field "password"/),
      }),
    );
  }
  expect(() => render({ format: 'env' }, credential('x', { userName: 'a', user_name: 'b' }))).toThrow(
    /USER_NAME/,
  );
});

test('raw is the bytes of one field; a missing field is named together with those there are', () => {
  expect(render({ format: 'raw', field: 'password' }, credential('hünter2')).reveal()).toBe('hünter2');
  expect(() => render({ format: 'raw', field: 'token' }, credential('hunter2'))).toThrow(
    /no field "token"; it has password, username, versionId$/,
  );
});

test('templates fill fields, apply filters in order, and keep all other text', () => {
  const filled = (template: string, password = 'p@ss w"d') =>
    render({ format: 'template', template }, credential(password)).reveal();
  expect(filled('postgres://{{username}}:{{ password | url }}@db/{}')).toBe(
    'postgres://app:p%40ss%20w%22d@db/{}',
  );
  expect(filled('{{password|url|json}} {{versionId}}')).toBe('"p%40ss%20w%22d" v1');
  expect(filled('{{password}}', '{{username}} $& $1')).toBe('{{username}} $& $1');
  expect(() => filled('{{nothing}}')).toThrow(expect.objectContaining({ code: 'manifest.invalid' }));
});

test('filtered values mean themselves again to the reader they are meant for', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      expect(decodeURIComponent(FILTERS.url(value))).toBe(value);
      expect(FILTERS.url(value)).toMatch(/^[\w.~%-]*$/);
      expect(JSON.parse(FILTERS.json(value))).toBe(value);
    }),
  );
  for (const value of ["it's $HOME", '`id`', '\\', 'a\nb', '!!', "'"]) {
    expect(execFileSync('sh', ['-c', `printf %s ${FILTERS.shell(value)}`]).toString()).toBe(value);
  }
});

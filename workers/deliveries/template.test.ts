import { expect, test } from 'vitest';
import { fillTemplate, parseTemplate } from './template.ts';

const values = new Map([
  ['username', 'a b'],
  ['password', `q"'/|+`],
  ['host', 'db'],
]);

test.each([
  ['{{host}}', 'db'],
  ['{{ username | url }}@{{host}}', 'a%20b@db'],
  ['{{username + ":" + password | base64}}', Buffer.from(`a b:q"'/|+`).toString('base64')],
  ['{{username+":"+host|base64|url}}', encodeURIComponent(Buffer.from('a b:db').toString('base64'))],
  ['{{host + "|" + host}}', 'db|db'],
  ['{"a":{{password|json}}}', `{"a":"q\\"'/|+"}`],
  ['}} stays', '}} stays'],
])('%s', (template, filled) => {
  expect(fillTemplate(template, values)).toBe(filled);
});

test.each([
  ['{{}}', 'names no field'],
  ['{{":"}}', 'names no field'],
  ['{{host +}}', 'names no field'],
  ['{{host "x"}}', 'names no field'],
  ['{{host|upper}}', 'unknown filter "upper"'],
  ['{{host', 'has no "}}"'],
])('%s is refused', (template, problem) => {
  expect(parseTemplate(template)).toMatchObject({ problem: expect.stringContaining(problem) });
});

test('a field that the credential lacks is named, with those there are, and no value', () => {
  expect(() => fillTemplate('{{pasword}}', values)).toThrow(
    'no field "pasword"; it has host, password, username',
  );
});

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { knownKinds } from '../cli/manifest-files.ts';
import { KINDS } from '../manifests/manifest.ts';
import { customResourceDefinitions } from './definitions.ts';
import { type JsonSchema, type Structural, structural } from './structural.ts';

const folder = join(import.meta.dirname, '../../charts/rotor/crds');

describe('the definitions of the chart', () => {
  test.each(customResourceDefinitions(knownKinds()))(
    '$file is what the schemas give',
    async ({ file, text }) => {
      expect(await readFile(join(folder, file), 'utf8'), 'run: node scripts/crds.ts').toBe(text);
    },
  );

  test('are one for every kind of manifest', async () => {
    const files = customResourceDefinitions(knownKinds()).map(({ file }) => file);
    expect((await readdir(folder)).sort()).toEqual(files.sort());
    expect(files).toHaveLength(KINDS.length);
  });
});

const ofZod = (schema: z.ZodType): Structural =>
  structural(z.toJSONSchema(schema, { io: 'input' }) as JsonSchema);
const rulesOf = (schema: Structural) => (schema['x-kubernetes-validations'] ?? []).map(({ rule }) => rule);

describe('a structural schema', () => {
  test('names defaults in words and sets none, so that a later version may have others', () => {
    const made = ofZod(z.strictObject({ size: z.int().min(1).max(9).default(3).describe('How many') }));
    expect(made).toEqual({
      type: 'object',
      properties: { size: { description: 'How many. Default: 3', type: 'integer', minimum: 1, maximum: 9 } },
    });
  });

  test('has one object for alternatives that a field tells apart, and rules for what each needs', () => {
    const made = ofZod(
      z.union([
        z.strictObject({ mode: z.literal('one'), role: z.string() }),
        z.strictObject({ mode: z.literal('two'), roles: z.array(z.string()), sure: z.literal(true) }),
      ]),
    );
    expect(made.required).toEqual(['mode']);
    expect(made.properties?.mode).toEqual({ type: 'string', enum: ['one', 'two'] });
    expect(made.properties?.sure).toEqual({ type: 'boolean', enum: [true] });
    expect(rulesOf(made)).toEqual([
      "self.mode != 'one' || has(self.role)",
      "self.mode != 'one' || !has(self.roles)",
      "self.mode != 'one' || !has(self.sure)",
      "self.mode != 'two' || has(self.roles)",
      "self.mode != 'two' || has(self.sure)",
      "self.mode != 'two' || !has(self.role)",
    ]);
  });

  test('has one rule for alternatives of one field each', () => {
    const made = ofZod(
      z.union([z.strictObject({ http: z.string() }), z.strictObject({ import: z.string() })]),
    );
    expect(rulesOf(made)).toEqual(['[has(self.http), has(self.__import__)].filter(x, x).size() == 1']);
  });

  test('takes text or a whole number, exclusive bounds, tuples and maps', () => {
    expect(ofZod(z.union([z.string(), z.int()]))).toEqual({ 'x-kubernetes-int-or-string': true });
    expect(ofZod(z.number().gt(0))).toEqual({ type: 'number', minimum: 0, exclusiveMinimum: true });
    expect(ofZod(z.tuple([z.string().min(1), z.string().min(1)]))).toMatchObject({
      type: 'array',
      items: { type: 'string', minLength: 1 },
    });
    expect(ofZod(z.record(z.string(), z.string().max(5)))).toEqual({
      type: 'object',
      additionalProperties: { type: 'string', maxLength: 5 },
    });
  });

  test('knows alternatives by the field that only they require, and what belongs to it', () => {
    const timeout = z.string().optional();
    const made = ofZod(
      z.union([
        z.strictObject({ http: z.string(), path: z.string().optional(), timeout }),
        z.strictObject({ query: z.string(), below: z.int(), timeout }),
      ]),
    );
    expect(rulesOf(made)).toEqual([
      '[has(self.http), has(self.query)].filter(x, x).size() == 1',
      '!has(self.http) || !has(self.below)',
      '!has(self.query) || has(self.below)',
      '!has(self.query) || !has(self.path)',
    ]);
  });

  test('bounds a list whose items have rules, since each is counted for every item', () => {
    const either = z.union([z.strictObject({ a: z.string() }), z.strictObject({ b: z.string() })]);
    expect(ofZod(z.array(either)).maxItems).toBe(100);
    expect(ofZod(z.array(either).max(5)).maxItems).toBe(5);
    expect(ofZod(z.array(z.string())).maxItems).toBeUndefined();
  });

  const open = { 'x-kubernetes-preserve-unknown-fields': true };
  test.each<[string, JsonSchema, Structural]>([
    ['alternatives of several types', { anyOf: [{ type: 'object' }, { type: 'boolean' }] }, open],
    [
      'numbers in several forms',
      { anyOf: [{ type: 'number', minimum: 1 }, { type: 'number' }] },
      { type: 'number' },
    ],
    [
      'a pattern that the API server does not know',
      { type: 'string', pattern: '(?=a)b' },
      { type: 'string' },
    ],
    [
      'places of different types',
      { type: 'array', prefixItems: [{ type: 'string' }, { type: 'boolean' }] },
      { type: 'array', items: open },
    ],
    ['anything', {}, open],
  ])('leaves open what it can not say: %s', (_, schema, expected) => {
    expect(structural(schema)).toEqual(expected);
  });
});

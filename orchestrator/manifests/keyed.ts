import { z } from 'zod';
import type { KindSpec } from './manifest.ts';

interface Part {
  readonly kind: string;
  readonly schema: z.ZodType;
}

/** Starts every message about the number of kinds, so that it can give way to a better one. */
export const EXACTLY_ONE = 'needs exactly one of';

/**
 * Schema of a keyed union: an object with the fields of `shape` and exactly one of the kinds, such as
 * `{name: web, reload: {...}}`. Parses to the fields of `shape` plus `kind` and `spec`.
 */
export function keyed<Shape extends z.ZodRawShape>(parts: readonly Part[], shape: Shape) {
  const kinds = parts.map(({ kind }) => kind);
  const chosen = (value: object) => kinds.filter((kind) => Object.hasOwn(value, kind));
  const entries = parts.map(({ kind, schema }) => [kind, asWritten(schema).optional()] as const);
  return z
    .strictObject({ ...shape, ...Object.fromEntries(entries) })
    .refine((value) => typeof value !== 'object' || value === null || chosen(value).length === 1, {
      message: `${EXACTLY_ONE}: ${kinds.join(', ')}`,
      when: ({ value }) => typeof value === 'object' && value !== null,
    })
    .meta({ oneOf: kinds.map((kind) => ({ required: [kind] })) })
    .transform((value) => {
      const [kind = ''] = chosen(value);
      const fields = Object.entries(value).filter(([name]) => !kinds.includes(name));
      const spec = (value as Record<string, unknown>)[kind];
      return { ...Object.fromEntries(fields), kind, spec } as z.output<z.ZodObject<Shape>> & KindSpec;
    });
}

/**
 * Validates by `schema` but keeps what was written, since specs are stored as written and parsed when
 * opened: a later version may then have other defaults. Nothing (`none:`) counts as an empty object.
 */
function asWritten(schema: z.ZodType) {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return z
    .unknown()
    .superRefine((value, context) => {
      const parsed = schema.safeParse(value ?? {});
      for (const issue of parsed.error?.issues ?? []) context.addIssue({ ...issue });
    })
    .transform((value) => value ?? {})
    .meta(json as Record<string, unknown>);
}

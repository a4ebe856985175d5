import { z } from 'zod';
import type { Registries } from '../../workers/saga/parts.ts';
import { runbookSpec } from '../incidents/runbook-schema.ts';
import { keyed } from './keyed.ts';
import { API_VERSION, KINDS, type Kind } from './manifest.ts';
import { resourceName } from './names.ts';
import { policySpec } from './policy-schema.ts';

/** The schema of every kind of manifest, made of what the registries hold. */
export type Schemas = ReturnType<typeof manifestSchemas>;

const labels = z.record(z.string().max(253), z.string().max(4096)).default({});

const metadata = z.strictObject({
  name: resourceName,
  namespace: resourceName.default('default'),
  labels,
  annotations: labels,
});

export function manifestSchemas(registries: Registries) {
  const providers = registries.rotators.flatMap(({ kind, provider }) =>
    provider ? [{ kind, schema: provider }] : [],
  );
  const stores = registries.stores.map(({ kind, spec }) => ({ kind, schema: spec }));
  return {
    RotationPolicy: envelope('RotationPolicy', policySpec(registries)),
    Provider: envelope(
      'Provider',
      keyed(providers, {
        maxConcurrent: z.int().min(1).max(1000).optional().describe('At most so many rotations here at once'),
      }),
    ),
    Store: envelope('Store', keyed(stores, {})),
    Runbook: envelope('Runbook', runbookSpec),
  };
}

/**
 * JSON Schema (2020-12) of all kinds, for editors: `# yaml-language-server: $schema=rotor.schema.json`.
 * Describes what is written, so that fields with defaults are optional.
 */
export function manifestJsonSchema(registries: Registries): Record<string, unknown> {
  const schemas = manifestSchemas(registries);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `Rotor manifests, ${API_VERSION}`,
    oneOf: KINDS.map((kind) => jsonSchemaOf(schemas, kind)),
  };
}

export function jsonSchemaOf(schemas: Schemas, kind: Kind): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schemas[kind], { io: 'input', unrepresentable: 'any' });
  return json;
}

function envelope<K extends Kind, Spec extends z.ZodType>(kind: K, spec: Spec) {
  return z.strictObject({ apiVersion: z.literal(API_VERSION), kind: z.literal(kind), metadata, spec });
}

import { stringify } from 'yaml';
import type { Registries } from '../../workers/saga/parts.ts';
import { KINDS, type Kind } from '../manifests/manifest.ts';
import { jsonSchemaOf, manifestSchemas, type Schemas } from '../manifests/schemas.ts';
import { CLUSTER_KINDS, GROUP, VERSION } from './kinds.ts';
import { addKindRules } from './rules.ts';
import { statusSchema } from './status-schema.ts';
import { type JsonSchema, type Structural, structural } from './structural.ts';

const HEADER = `# Written by scripts/crds.ts from the schemas of orchestrator/manifests; change them there.
`;

export interface Definition {
  readonly file: string;
  readonly text: string;
}

/** The CustomResourceDefinitions of all kinds as files of charts/rotor/crds, made of the very schemas that read manifests. */
export function customResourceDefinitions(registries: Registries): readonly Definition[] {
  const schemas = manifestSchemas(registries);
  return KINDS.map((kind) => ({
    file: `${CLUSTER_KINDS[kind].plural}.yaml`,
    text:
      HEADER +
      stringify(definitionOf(kind, schemas, registries), { lineWidth: 0, aliasDuplicateObjects: false }),
  }));
}

function definitionOf(kind: Kind, schemas: Schemas, registries: Registries) {
  const { plural, shortNames, columns } = CLUSTER_KINDS[kind];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: ['rotor'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: objectSchema(kind, schemas, registries) },
        },
      ],
    },
  };
}

function objectSchema(kind: Kind, schemas: Schemas, registries: Registries): Structural {
  const written = jsonSchemaOf(schemas, kind) as JsonSchema;
  const { spec = {}, metadata = {} } = written.properties ?? {};
  // The API server owns metadata; of ours only the name may be judged here.
  const { name = {} } = metadata.properties ?? {};
  const schema: Structural = {
    description: CLUSTER_KINDS[kind].description,
    type: 'object',
    required: ['metadata', 'spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object', properties: { name: structural(name) } },
      spec: structural(spec),
      status: statusSchema(kind),
    },
  };
  addKindRules(kind, schema, registries);
  return schema;
}

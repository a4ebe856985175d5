import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { knownKinds } from '../orchestrator/cli/manifest-files.ts';
import { customResourceDefinitions } from '../orchestrator/cluster/definitions.ts';

/** Writes the CustomResourceDefinitions of the chart. A test fails when they are older than the schemas. */
const folder = join(import.meta.dirname, '../charts/rotor/crds');
mkdirSync(folder, { recursive: true });
for (const { file, text } of customResourceDefinitions(knownKinds())) writeFileSync(join(folder, file), text);

import { glob, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { noClusters } from '../../core/kubernetes/cluster.ts';
import { Keyring } from '../../core/seal-keyring.ts';
import { noLedger } from '../../ledger/database.ts';
import { loadManifests } from '../../orchestrator/manifests/load.ts';
import { parseManifests } from '../../orchestrator/manifests/parse.ts';
import { checkReferences } from '../../orchestrator/manifests/references.ts';
import { manifestJsonSchema } from '../../orchestrator/manifests/schemas.ts';
import { rotators } from '../../rotators/registry.ts';
import { deliveries } from '../../workers/deliveries/registry.ts';
import { rollouts } from '../../workers/rollouts/registry.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import { allStores } from '../../workers/stageless/stores.ts';

const root = join(import.meta.dirname, '../..');
const registries: Registries = {
  rotators,
  stores: allStores({ keyring: Keyring.generate(), ledger: noLedger }),
  deliveries: deliveries({ clusters: noClusters }),
  rollouts: rollouts({ allowedCommands: [], clusters: noClusters }),
};

interface Block {
  readonly where: string;
  readonly text: string;
}

/** Every block marked `yaml` that is a manifest, with the lines before it blank so that messages name the page's lines. */
async function manifestBlocks(): Promise<Block[]> {
  const blocks: Block[] = [];
  for await (const file of glob(['README.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })) {
    const page = await readFile(join(root, file), 'utf8');
    for (const match of page.matchAll(/^```yaml\n(.*?)^```$/gms)) {
      if (!match[1]?.includes('apiVersion: rotor.dev')) continue;
      const above = page.slice(0, match.index).split('\n').length;
      blocks.push({ where: `${file}:${above}`, text: '\n'.repeat(above) + match[1] });
    }
  }
  return blocks;
}

const blocks = await manifestBlocks();

test('the pages on manifests and schedules have manifests to check', () => {
  const pages = blocks.map(({ where }) => where.split(':')[0]);
  expect(pages).toEqual(expect.arrayContaining(['docs/manifests.md', 'docs/schedules.md']));
});

test.each(blocks)('the manifest at $where is valid', ({ where, text }) => {
  expect(parseManifests(text, where, registries).length).toBeGreaterThan(0);
});

const folders = new Set<string>();
for await (const file of glob('examples/**/*.{yaml,yml}', { cwd: root }))
  folders.add(dirname(join(root, file)));

test.each([...folders])('the example set %s is valid and complete in itself', async (folder) => {
  const manifests = await loadManifests([folder], registries);
  expect(manifests.map(({ kind }) => kind)).toContain('RotationPolicy');
  // The sealed folder of this machine needs no manifest.
  const builtIn = { kind: 'Store', namespace: 'default', name: 'local' } as const;
  expect(() => checkReferences(manifests, [builtIn])).not.toThrow();
});

test('every example set is listed', async () => {
  const list = await readFile(join(root, 'examples/README.md'), 'utf8');
  for (const folder of folders) expect(list).toContain(`](${relative(join(root, 'examples'), folder)})`);
});

test('the JSON Schema for editors describes every kind that there is', () => {
  const text = JSON.stringify(manifestJsonSchema(registries));
  for (const { kind } of [
    ...rotators,
    ...registries.stores,
    ...registries.deliveries,
    ...registries.rollouts,
  ]) {
    expect(text).toContain(`"${kind}":{`);
  }
});

test('a template for a connection string is no password in a URL', () => {
  const template = 'postgres://{{username|url}}:{{password|url}}@db:5432/shop';
  const policy = {
    apiVersion: 'rotor.dev/v1alpha1',
    kind: 'RotationPolicy',
    metadata: { name: 'x' },
    spec: {
      credential: { random: {} },
      store: { path: 'x' },
      deliver: [{ file: { path: '/run/x', format: 'template', template } }],
    },
  };
  expect(parseManifests(JSON.stringify(policy), 'x.json', registries)).toHaveLength(1);
});

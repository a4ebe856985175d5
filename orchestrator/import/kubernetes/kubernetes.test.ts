import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { knownKinds } from '../../cli/manifest-files.ts';
import { readManifests } from '../../manifests/parse.ts';
import { manifestSchemas } from '../../manifests/schemas.ts';
import { written } from '../draft.ts';
import type { Import } from '../import.ts';
import { importAnnotations } from './annotations.ts';
import { importExternalSecrets } from './external-secrets.ts';

const registries = knownKinds();
const schemas = manifestSchemas(registries);
const stores = registries.stores.map(({ kind }) => kind);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-import-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<readonly string[]> {
  const path = join(folder, 'objects.yaml');
  await writeFile(path, text);
  return [path];
}

const results = ({ found, shared }: Import) => {
  const all = written(found, shared, 'shop', schemas);
  return { ...all, by: new Map(all.report.map((line) => [line.found, line])) };
};

/** With the credential filled in, as its comment asks for, a policy is valid. */
function completed(text: string, credential: object): unknown[] {
  const policy = parse(text) as { spec: object };
  const whole = JSON.stringify({ ...policy, spec: { ...policy.spec, credential } });
  const { problems, manifests } = readManifests(whole, 'whole.json', schemas);
  expect(problems).toEqual([]);
  return manifests.map(({ spec }) => spec);
}

const deployment = (name: string, secret: string, annotations = '{}') => `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: web, annotations: ${annotations} }
spec:
  template:
    metadata: {}
    spec:
      containers: [{ name: app, envFrom: [{ secretRef: { name: ${secret} } }] }]
`;

describe('rotor import external-secrets', () => {
  const store = (name: string, provider: string) => `---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: { name: ${name} }
spec: { provider: ${provider} }
`;
  const external = (name: string, from: string, data: string) => `---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: { name: ${name}, namespace: web }
spec:
  secretStoreRef: { kind: ClusterSecretStore, name: ${from} }
  target: { name: ${name}-copy }
  ${data}
`;

  test('maps stores, keys and the workloads that read the copy; where the credential is valid is open', async () => {
    const text = [
      store('aws', '{ aws: { service: SecretsManager, region: eu-central-1, prefix: prod/ } }'),
      external(
        'db',
        'aws',
        'data: [{ secretKey: DB_PASSWORD, remoteRef: { key: shop/db, property: password } }]',
      ),
      deployment('web', 'db-copy'),
      deployment('other', 'another'),
    ].join('');
    const { by, files } = results(await importExternalSecrets({ files: await file(text) }, stores));
    expect(by.get('ExternalSecret web/db')).toMatchObject({
      result: 'partly',
      manifest: 'RotationPolicy shop/db',
      why: [expect.stringContaining('spec.credential')],
    });
    expect(files.map(({ name }) => name)).toEqual(['store-aws.yaml', 'db.yaml']);
    expect(readManifests(files[0]?.text ?? '', 'store.yaml', schemas).manifests).toMatchObject([
      { kind: 'Store', name: 'aws', spec: { kind: 'awsSecretsManager', spec: { prefix: 'prod/' } } },
    ]);
    expect(files[1]?.text).toMatch(/^# From .*\n# OPEN: spec\.credential/);
    expect(completed(files[1]?.text ?? '', { random: {} })).toMatchObject([
      {
        store: { name: 'aws', path: 'shop/db' },
        consumers: [
          {
            name: 'web',
            kind: 'delegated',
            spec: {
              to: 'external-secrets',
              deployment: 'web',
              secretName: 'db-copy',
              externalSecret: 'db',
              keys: { DB_PASSWORD: 'password' },
            },
          },
        ],
      },
    ]);
  });

  test.each([
    [
      'vault',
      '{ vault: { server: "https://vault:8200", path: kv, version: v2, auth: { kubernetes: { role: eso, mountPath: k8s } } } }',
      'dataFrom: [{ extract: { key: kv/data/shop/db } }]',
      { kind: 'vault', spec: { mount: 'kv', auth: { kubernetes: { role: 'eso', mount: 'k8s' } } } },
      'shop/db',
    ],
    [
      'azure',
      '{ azurekv: { vaultUrl: "https://shop.vault.azure.net", tenantId: t } }',
      'data: [{ secretKey: x, remoteRef: { key: secret/shop--db } }]',
      { kind: 'azureKeyVault', spec: { vaultUrl: 'https://shop.vault.azure.net' } },
      'shop/db',
    ],
    [
      'google',
      '{ gcpsm: { projectID: shop-prod } }',
      'data: [{ secretKey: x, remoteRef: { key: shop--db } }]',
      { kind: 'gcpSecretManager', spec: { project: 'shop-prod' } },
      'shop/db',
    ],
    [
      'parameters',
      '{ aws: { service: ParameterStore, region: eu-central-1 } }',
      'data: [{ secretKey: x, remoteRef: { key: /shop/db } }]',
      { kind: 'awsParameterStore', spec: { prefix: '/' } },
      'shop/db',
    ],
  ])('a store of %s', async (name, provider, data, expected, path) => {
    const text = store(name, provider) + external('db', name, data);
    const { files } = results(await importExternalSecrets({ files: await file(text) }, stores));
    const { manifests, problems } = readManifests(files[0]?.text ?? '', 'store.yaml', schemas);
    expect(problems).toEqual([]);
    expect(manifests[0]?.spec).toMatchObject(expected);
    expect(parse(files[1]?.text ?? '').spec.store).toEqual({ name, path });
  });

  test.each([
    ['of a provider that is none here', store('x', '{ doppler: {} }'), 'x', 'provider doppler'],
    ['whose store is not there', '', 'gone', 'ClusterSecretStore gone was not found'],
    ['of KV version 1', store('v', '{ vault: { server: "https://v", version: v1 } }'), 'v', 'docs/stores.md'],
  ])('one %s is not mapped, and says why', async (_name, text, from, why) => {
    const all = text + external('db', from, 'dataFrom: [{ extract: { key: a } }]');
    const { report, files } = results(await importExternalSecrets({ files: await file(all) }, stores));
    expect(report).toMatchObject([{ result: 'not mapped', why: [expect.stringContaining(why)] }]);
    expect(files).toEqual([]);
  });
});

test('rotor import annotations maps what Reloader watches, and says why the rest is not', async () => {
  const text = [
    deployment('web', 'db', '{ reloader.stakater.com/auto: "true" }'),
    deployment('worker', 'x', '{ secret.reloader.stakater.com/reload: "db, sealed" }'),
    deployment('still', 'quiet'),
    deployment('agent', 'y', '{ vault.hashicorp.com/agent-inject-secret-db: database/static-creds/app }'),
    '---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: { name: sealed, namespace: web }\n',
  ].join('');
  const { by, files } = results(await importAnnotations({ files: await file(text) }));
  expect([...by].map(([found, { result }]) => [found, result])).toEqual([
    ['Secret web/db', 'partly'],
    ['SealedSecret web/sealed', 'not mapped'],
    ['Deployment web/agent, Vault path database/static-creds/app', 'not mapped'],
  ]);
  expect(completed(files[0]?.text ?? '', { random: {} })).toMatchObject([
    {
      deliver: [{ kind: 'secret', spec: { name: 'db', namespaces: ['web'], adopt: true } }],
      consumers: [{ name: 'web' }, { name: 'worker', spec: { to: 'reloader', secretName: 'db' } }],
    },
  ]);
});

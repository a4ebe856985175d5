import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { SecretValue } from '../../core/secret.ts';
import { makeCertificates } from '../../sandbox/api/certificates.ts';
import { runGit } from '../../stores/sealed-secrets/git.ts';
import { sealedSecretsSpec } from '../../stores/sealed-secrets/spec.ts';
import { sealedSecretsStore } from '../../stores/sealed-secrets/store.ts';
import type { StoreSession } from '../../stores/store.ts';
import {
  aRepository,
  aSealingKey,
  noKubeseal,
  type SealingKey,
  unsealed,
  unsealedByKubeseal,
} from '../setup/sealed-secrets.ts';
import { callWith } from './stores-calls.ts';
import { theSealingKey } from './stores-sealed-secrets-home.ts';
import { secretFile, stagedHere, stopShelf } from './stores-stageless-home.ts';

const PATH = 'shop/orders-db';
const FILE = 'shop/orders-db.yaml';
const [A, B] = ['0a0a0a0a-0000-4000-8000-00000000000a', '0b0b0b0b-0000-4000-8000-00000000000b'] as const;
const FIELDS = { username: 'app', password: 'p"w\n', port: 5432 };
const TEXTS = { username: 'app', password: 'p"w\n', port: '5432' };
const text = (value: object) => SecretValue.of(JSON.stringify(value));
const call = (fence = 1n) => callWith(fence);
const code = (wanted: string) => expect.objectContaining({ code: wanted });

let key: SealingKey;
let newer: SealingKey;
let ended: SealingKey;
let repository: Awaited<ReturnType<typeof aRepository>>;
const sessions: StoreSession[] = [];

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-sealing-'));
  key = await theSealingKey();
  newer = await aSealingKey(folder, 'newer', '20260301000000Z');
  ended = await aSealingKey(folder, 'ended', '20240101000000Z', '20250101000000Z');
});
beforeEach(async () => {
  repository = await aRepository();
});
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  await repository.remove();
});
afterAll(stopShelf);

async function opened(changes: object = {}, git: object = {}): Promise<StoreSession> {
  const store = await stagedHere(sealedSecretsStore);
  const written = {
    certificate: { file: key.certificate },
    git: { url: repository.url, branch: 'main', ...git },
  };
  const session = store.open(store.spec.parse({ ...written, ...changes }));
  sessions.push(session);
  return session;
}

async function published(
  store: StoreSession,
  versionId: string = A,
  document = text(FIELDS),
  expected?: string,
) {
  await store.stage(call(), PATH, versionId, document);
  await store.promote(call(), PATH, versionId, expected);
}

const annotation = async (name: string) =>
  parse((await repository.file(FILE)) ?? '').metadata.annotations[`rotor.dev/${name}`];

test.each([
  ['strict', 'shop/orders-db', undefined],
  ['namespace-wide', 'shop', 'sealedsecrets.bitnami.com/namespace-wide'],
  ['cluster-wide', '', 'sealedsecrets.bitnami.com/cluster-wide'],
])(
  'what is sealed with scope %s opens with the key and the label "%s", and with no other',
  async (scope, label, mark) => {
    await published(await opened({ scope, type: 'kubernetes.io/basic-auth' }));
    const manifest = (await repository.file(FILE)) ?? '';
    expect(await unsealed(manifest, key, label)).toEqual(TEXTS);
    await expect(unsealed(manifest, key, `${label}x`)).rejects.toThrow();
    await expect(unsealed(manifest, newer, label)).rejects.toThrow();
    const { metadata, spec } = parse(manifest);
    expect(spec.template).toMatchObject({
      type: 'kubernetes.io/basic-auth',
      metadata: { name: 'orders-db', namespace: 'shop' },
    });
    if (mark)
      expect([metadata.annotations[mark], spec.template.metadata.annotations[mark]]).toEqual([
        'true',
        'true',
      ]);
    expect(manifest).not.toContain('p"w');
  },
);

test.skipIf(noKubeseal).each(['strict', 'namespace-wide', 'cluster-wide'])(
  `the real kubeseal opens what is sealed with scope %s${noKubeseal ? ` (${noKubeseal})` : ''}`,
  async (scope) => {
    await published(await opened({ scope }));
    const secret = await unsealedByKubeseal((await repository.file(FILE)) ?? '', key);
    expect(secret).toEqual({ name: PATH, data: TEXTS });
  },
);

test('a document as a whole, and one that is no flat object, have one key', async () => {
  await published(await opened({ key: 'db.json' }));
  expect(await unsealed((await repository.file(FILE)) ?? '', key, PATH)).toEqual({
    'db.json': JSON.stringify(FIELDS),
  });
  const store = await opened({ path: 'clusters/prod' });
  await published(store, A, SecretValue.of('plain'));
  const manifest = await repository.file(`clusters/prod/${FILE}`);
  expect(await unsealed(manifest ?? '', key, PATH)).toEqual({ document: 'plain' });
});

test('a commit changes one file, tells which version, and follows on what others pushed in between', async () => {
  const store = await opened({}, { author: { name: 'Rotor of shop', email: 'rotor@shop.example' } });
  await published(store);
  await repository.push('other.yaml', 'theirs\n');
  await published(store, B, text({ ...FIELDS, password: 'new' }), A);
  expect(await repository.file('other.yaml')).toBe('theirs\n');
  const [subject, author, body] = (
    await repository.git('log', '-1', '--format=%s%n%an <%ae>%n%b', 'main')
  ).split('\n');
  expect([subject, author]).toEqual([`Seal ${PATH}`, 'Rotor of shop <rotor@shop.example>']);
  expect(body).toContain(B);
  expect((await repository.git('show', '--name-only', '--format=', 'main')).trim()).toBe(FILE);
  expect(await unsealed((await repository.file(FILE)) ?? '', key, PATH)).toMatchObject({ password: 'new' });
});

test('somebody who pushes between look and push is not undone: another file is kept, the same one is a conflict', async () => {
  const store = await opened();
  await published(store);
  await store.stage(call(), PATH, B, text({ ...FIELDS, password: 'new' }));
  // The branch moves while ours is on its way: the server refuses the push, whose parent is no longer the last commit.
  const hook = join(repository.path, 'hooks', 'pre-receive');
  const once = `test -e "$0.done" && exit 0; touch "$0.done"; unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
printf 'commit refs/heads/main\\ncommitter x <x@x> 1767225600 +0000\\ndata 0\\nfrom refs/heads/main^0\\nM 100644 inline other.yaml\\ndata 2\\nhi\\n' | git fast-import --quiet --force`;
  await writeFile(hook, `#!/bin/sh\n${once}\n`, { mode: 0o755 });
  await store.promote(call(), PATH, B, A);
  expect(await repository.file('other.yaml')).toBe('hi');
  expect(await annotation('version')).toBe(B);
  await repository.push(FILE, 'kind: SealedSecret\n');
  await expect(store.promote(call(), PATH, A, B)).rejects.toEqual(code('store.conflict'));
  expect(await repository.file(FILE)).toBe('kind: SealedSecret\n');
});

test('a manifest of somebody else is left alone, and taken over with what it has beside its values when told so', async () => {
  const theirs = {
    apiVersion: 'bitnami.com/v1alpha1',
    kind: 'SealedSecret',
    metadata: { name: 'orders-db', namespace: 'shop', labels: { team: 'shop' } },
    spec: {
      encryptedData: { password: 'AgA=' },
      template: { type: 'Opaque', metadata: { labels: { app: 'orders' } } },
    },
  };
  await repository.push(FILE, stringify(theirs));
  const careful = await opened();
  await expect(careful.check?.(call(), PATH)).rejects.toThrow(`${FILE} is there, and Rotor didn't write it`);
  expect(await careful.read(call(0n), PATH, 'current')).toBeUndefined();
  await expect(published(careful)).rejects.toEqual(code('store.conflict'));
  await careful.discard(call(), PATH, B);
  const store = await opened({ adopt: true });
  await store.promote(call(), PATH, A, undefined);
  const now = parse((await repository.file(FILE)) ?? '');
  expect(now.metadata.labels).toEqual({ team: 'shop' });
  expect(now.spec.template).toMatchObject({ type: 'Opaque', metadata: { labels: { app: 'orders' } } });
  expect((await store.read(call(0n), PATH, 'current'))?.document.equals(text(FIELDS))).toBe(true);
});

test('a change by hand is told, since nobody can read what was sealed', async () => {
  const store = await opened();
  await published(store);
  const manifest = parse((await repository.file(FILE)) ?? '');
  manifest.spec.encryptedData.password = 'AgA=';
  await repository.push(FILE, stringify(manifest));
  await expect(store.read(call(0n), PATH, 'current')).rejects.toThrow(
    'somebody else changed what stands there',
  );
  await repository.git('update-ref', 'refs/heads/main', 'main~1');
  expect((await store.read(call(0n), PATH, 'current'))?.versionId).toBe(A);
});

test('when the controller has a newer certificate the same version is sealed again, and only then', async () => {
  await published(await opened());
  const before = await repository.file(FILE);
  const same = await opened();
  expect(await same.renew?.(call(), PATH, true)).toBeUndefined();
  const store = await opened({ certificate: { file: newer.certificate } });
  expect(await store.renew?.(call(), PATH, false)).toMatch(
    /sealed for the certificate of 2026-01-01.*one of 2026-03-01/,
  );
  expect(await repository.file(FILE)).toBe(before);
  expect(await store.renew?.(call(), PATH, true)).toContain(FILE);
  expect(await unsealed((await repository.file(FILE)) ?? '', newer, PATH)).toEqual(TEXTS);
  expect(await annotation('version')).toBe(A);
  expect((await store.read(call(0n), PATH, 'current'))?.versionId).toBe(A);
  // A worker that still has the older file doesn't take it back.
  expect(await same.renew?.(call(), PATH, true)).toBeUndefined();
});

test('a certificate comes from the controller, too, with a word about http', async () => {
  const pem = await readFile(key.certificate);
  let status = 200;
  const server = createServer((_, response) => response.writeHead(status).end(pem));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/cert.pem`;
  const store = await opened({ certificate: { url } });
  expect((await store.check?.(call(), PATH))?.warnings).toEqual([expect.stringContaining('comes over http')]);
  await published(store);
  expect(await unsealed((await repository.file(FILE)) ?? '', key, PATH)).toEqual(TEXTS);
  status = 503;
  await expect(store.check?.(call(), PATH)).rejects.toEqual(
    expect.objectContaining({ code: 'store.unavailable', kind: 'retryable' }),
  );
});

test('a certificate that has ended, is none, or is missing is named', async () => {
  const check = async (file: string) => (await opened({ certificate: { file } })).check?.(call(), PATH);
  await expect(check(ended.certificate)).rejects.toThrow('has ended on 2025-01-01');
  await expect(check(key.privateKey)).rejects.toThrow('is no certificate');
  await expect(check('/nowhere/cert.pem')).rejects.toEqual(code('reference.unresolved'));
});

test.each([
  ['no such branch', { branch: 'nowhere' }, 'store.not-found', 'there is no such branch'],
  [
    'no such repository',
    { url: 'file:///nowhere/at-all.git' },
    'store.not-found',
    'there is no such repository',
  ],
])('%s', async (_, git, wanted, message) => {
  const store = await opened({}, git);
  const error = await store.read(call(0n), PATH, 'current').catch((thrown) => thrown);
  expect(error).toEqual(code(wanted));
  expect(error.message).toContain(message);
});

test('a branch that is protected is named', async () => {
  const hook = join(repository.path, 'hooks', 'pre-receive');
  await writeFile(hook, '#!/bin/sh\necho "GH006: Protected branch update failed" >&2\nexit 1\n', {
    mode: 0o755,
  });
  const error = await published(await opened()).catch((thrown) => thrown);
  expect(error).toEqual(code('store.permission-denied'));
  expect(error.message).toContain('a rule of the server forbids the push');
});

test('git is given a token by its own question, never by arguments or environment', async () => {
  const file = await secretFile('ghp-token');
  const { git } = sealedSecretsSpec.parse({
    certificate: { file: key.certificate },
    git: { url: 'https://git.example/shop.git', branch: 'main', tokenFrom: { file } },
  });
  if (!git) throw new Error('no git');
  const input = 'protocol=https\nhost=git.example\n\n';
  const { out } = await runGit(call(), git, tmpdir(), ['credential', 'fill'], { input });
  expect(out.toString()).toContain('username=x-access-token\npassword=ghp-token\n');
});

test.each([
  ['at once', false],
  ['once it has the token', true],
])('a server that sends git elsewhere, %s, sends no token with it', async (_, asks) => {
  const { key: tlsKey, certificate: cert, caCertificate } = await makeCertificates();
  const tls = { key: tlsKey, cert };
  const caFile = join(await mkdtemp(join(tmpdir(), 'rotor-git-tls-')), 'ca.pem');
  await writeFile(caFile, caCertificate);
  const seen = { own: [] as string[], other: [] as string[] };
  const served = async (who: keyof typeof seen, location?: () => string) => {
    const server = createTlsServer(tls, ({ url = '', headers }, response) => {
      const { authorization } = headers;
      seen[who].push(authorization ?? 'nothing');
      if (!location || (asks && !authorization))
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      else response.writeHead(302, { location: `${location()}${url}` }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `https://localhost:${(server.address() as AddressInfo).port}`;
  };
  const other = await served('other');
  const own = await served('own', () => other);
  const file = await secretFile('ghp-token');
  const store = await opened({}, { url: `${own}/shop.git`, tokenFrom: { file }, caFile });
  await expect(store.read(call(0n), PATH, 'current')).rejects.toEqual(code('store.permission-denied'));
  expect(seen.own.at(-1)).toMatch(asks ? /^Basic / : /^nothing$/);
  expect(new Set(seen.other)).toEqual(new Set(['nothing']));
});

test.each([
  ['https://user:pw@git.example/x.git'],
  ['ext::sh -c id'],
  ['--upload-pack=id'],
  ['http://git.example/x.git'],
])('the address %s is refused', (url) => {
  const spec = { certificate: { file: '/c.pem' }, git: { url, branch: 'main' } };
  expect(sealedSecretsSpec.safeParse(spec).success).toBe(false);
});

test('a folder takes the same manifests, for others to commit', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-folder-'));
  const store = await opened({ git: undefined, folder, path: 'prod' });
  await published(store);
  const manifest = await readFile(join(folder, 'prod', FILE), 'utf8');
  expect(await unsealed(manifest, key, PATH)).toEqual(TEXTS);
  await writeFile(join(folder, 'prod', FILE), 'theirs');
  await store.stage(call(), PATH, B, text(FIELDS));
  await expect(store.promote(call(), PATH, B, A)).rejects.toEqual(code('store.conflict'));
  expect(await readFile(join(folder, 'prod', FILE), 'utf8')).toBe('theirs');
});

test('two Stores of one repository keep apart what lies in different namespaces, and share what is one Secret', async () => {
  const [shop, prod, whole] = [
    await opened({ namespace: 'shop' }),
    await opened({ namespace: 'prod' }),
    await opened(),
  ];
  await shop.stage(call(), 'app', A, text({ password: 'of shop' }));
  await shop.promote(call(), 'app', A, undefined);
  expect(await prod.list(call(0n), 'app')).toEqual([]);
  await prod.stage(call(), 'app', B, text({ password: 'of prod' }));
  await prod.promote(call(), 'app', B, undefined);
  expect(await unsealed((await repository.file('prod/app.yaml')) ?? '', key, 'prod/app')).toEqual({
    password: 'of prod',
  });
  expect((await shop.list(call(0n), 'app')).map(({ versionId }) => versionId)).toEqual([A]);
  expect((await whole.read(call(0n), 'shop/app', 'current'))?.versionId).toBe(A);
});

test('a decision is not taken for carried out where an earlier version stands with other annotations', async () => {
  const store = await opened();
  await published(store);
  await store.stage(call(), PATH, B, text({ ...FIELDS, password: 'new' }));
  const hook = join(repository.path, 'hooks', 'pre-receive');
  const annotated = async (value: string) => {
    await writeFile(hook, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    const manifest = parse((await repository.file(FILE)) ?? '');
    manifest.metadata.annotations['team.example/note'] = value;
    await repository.push(FILE, stringify(manifest));
  };
  for (const [wanted, before] of [
    [B, A],
    [A, B],
  ] as const) {
    await writeFile(hook, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await expect(store.promote(call(), PATH, wanted, before)).rejects.toThrow();
    await annotated(wanted);
    await store.promote(call(), PATH, wanted, before);
    expect(await annotation('version')).toBe(wanted);
    expect((await store.read(call(0n), PATH, 'current'))?.versionId).toBe(wanted);
  }
});

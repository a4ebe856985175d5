import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createKeyFile } from '../../core/seal-key-file.ts';
import { MIGRATIONS } from '../../ledger/schema.ts';
import { freshDatabase } from '../setup/postgres.ts';

const everyMigration = readdirSync(MIGRATIONS)
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.replace(/\.sql$/, ''))
  .sort();

const ROTOR = fileURLToPath(new URL('../../orchestrator/cli/main.ts', import.meta.url));

let folder: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotor-cli-'));
  await chmod(folder, 0o755);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function rotor(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Ran> {
  const child = spawn(process.execPath, [ROTOR, ...args], {
    env: { ...process.env, ROTOR_HOME: join(folder, 'none'), ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Starts `rotor up`. @returns its process and the environment in which the command line finds it */
async function up(
  home: string,
  env: Record<string, string> = {},
): Promise<{ child: ChildProcess; env: Record<string, string> }> {
  const all = {
    ROTOR_HOME: home,
    ROTOR_LISTEN: '127.0.0.1:0',
    ROTOR_MODE: 'embedded',
    ROTOR_LOG_LEVEL: 'warn',
    ...env,
  };
  const child = spawn(process.execPath, [ROTOR, 'up'], {
    env: { ...process.env, ...all },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /running at (http:\S+);/.exec(output)?.[1];
        if (found) resolve(found);
      });
    }
    child.once('exit', () => reject(new Error(`rotor up ended:\n${output}`)));
  });
  return { child, env: { ROTOR_URL: url, ROTOR_HOME: home } };
}

describe('without a server', () => {
  test('migrate says what it needs: a database, and no key file', async () => {
    const { code, stdout } = await rotor(['migrate', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/--grant <role>[\s\S]*ROTOR_MIGRATE=check/);
    expect(await rotor(['migrate'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ROTOR_DATABASE_URL'),
    });
  });

  test('a database is migrated, and the first token made in it; the trail says how', async () => {
    const database = await freshDatabase();
    const env = { ROTOR_DATABASE_URL: database.url, ROTOR_LOG_LEVEL: 'warn' };
    const migrated = await rotor(['migrate', '-o', 'json'], env);
    expect(JSON.parse(migrated.stdout)).toMatchObject({
      applied: everyMigration,
      queue: true,
    });
    expect(await rotor(['migrate'], env)).toMatchObject({
      code: 0,
      stdout: 'the ledger is up to date\nthe queue is up to date\n',
    });
    const first = ['token', 'create', 'me', '--role', 'admin', '--direct'];
    const keyed = { ...env, ROTOR_MODE: 'embedded' };
    expect((await rotor(first, keyed)).stdout).toMatch(/^rotor_\S{43}\n$/);
    expect(await rotor([...first, '--expires-in', 'soon'], keyed)).toMatchObject({ code: 2 });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query('SELECT actor, action, subject FROM rotor.audit');
    await client.end();
    expect(rows).toEqual([{ actor: 'database', action: 'token.created', subject: 'token/me' }]);
    await database.drop();
  });

  test('a valid set of manifests is valid', async () => {
    const examples = fileURLToPath(new URL('../../examples/postgres-one-machine', import.meta.url));
    expect(await rotor(['validate', '-f', examples])).toMatchObject({
      code: 0,
      stdout: '3 manifests are valid\n',
    });
  });

  test('an invalid one exits 2 with file, line, column and field, and repeats no value', async () => {
    const file = join(folder, 'bad.yaml');
    await writeFile(
      file,
      'apiVersion: rotor.dev/v1alpha1\nkind: RotationPolicy\nmetadata: { name: x }\nspec:\n  credential: { random: {} }\n  store: { path: a }\n  shedule: { every: marker-value }\n',
    );
    const { code, stderr } = await rotor(['validate', '-f', file]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/bad\.yaml:7:3: spec\.shedule: .*schedule/);
    expect(stderr).not.toContain('marker-value');
  });

  test.each([
    [['nonsense']],
    [['rotate']],
    [['get', 'things']],
    [['-o', 'xml', 'get', 'policies']],
    [['pause']],
  ])('wrong usage exits 2: %j', async (args) => {
    const { code, stderr } = await rotor(args);
    expect(code).toBe(2);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('an unreachable server exits 1 and says what to do next', async () => {
    const { code, stderr } = await rotor(['get', 'policies'], { ROTOR_URL: 'http://127.0.0.1:1' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/error api\.unreachable: .*\n {2}next: .*rotor up/);
  });

  test('help names every command', async () => {
    const { stdout } = await rotor(['--help']);
    for (const command of [
      'up',
      'orchestrator',
      'worker',
      'apply',
      'validate',
      'plan',
      'rotate',
      'get',
      'describe',
      'watch',
      'respond',
      'pause',
      'resume',
      'audit',
      'fingerprint',
      'doctor',
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    }
  });
});

test('from a manifest to a proven rotation, by the command line alone', async () => {
  const running = await up(join(folder, 'home'));
  const target = join(folder, 'cookie.json');
  const manifest = `apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: cookie }
spec:
  credential: { random: { value: { length: 40 } } }
  store: { path: web/cookie }
  deliver: [{ file: { path: ${target}, format: json } }]
  schedule: { every: 30d }
  settle: { grace: 0s }
`;
  expect(await rotor(['apply', '-f', '-'], running.env, manifest)).toMatchObject({
    code: 0,
    stdout: 'RotationPolicy default/cookie created\n',
  });
  expect((await rotor(['plan', 'cookie'], running.env)).stdout).toContain(`deliver to file ${target}`);
  const rotated = await rotor(['-o', 'json', 'rotate', 'cookie', '--wait'], running.env);
  expect(rotated.code, rotated.stderr).toBe(0);
  const rotation = JSON.parse(rotated.stdout);
  expect(rotation).toMatchObject({ state: 'done', policy: 'default/cookie' });
  expect(rotated.stderr).toContain('✔ deliver');
  const { value } = JSON.parse(await readFile(target, 'utf8'));
  expect(value).toHaveLength(40);

  const looks = await Promise.all(
    [
      ['get', 'policies'],
      ['get', 'rotations'],
      ['describe', 'policy', 'cookie'],
      ['describe', 'rotation', rotation.id],
      ['audit', 'verify'],
      ['audit', 'export'],
      ['doctor'],
    ].map((args) => rotor(args, running.env)),
  );
  for (const look of looks) {
    expect(look.code, look.stderr).toBe(0);
    expect(look.stdout).not.toContain(value);
  }
  expect(looks[4]?.stdout).toMatch(/^verified: \d+ rows/);
  const found = await rotor(['fingerprint', '--secret-stdin'], running.env, `${value}\n`);
  expect(found.stdout).toContain('current');
  const answered = await rotor(
    ['-o', 'json', 'respond', '--secret-stdin', '--reason', 'pasted into a ticket', '--wait'],
    running.env,
    `COOKIE_SECRET="${value}"\n`,
  );
  expect(answered.code, answered.stderr).toBe(0);
  const incident = JSON.parse(answered.stdout);
  expect(incident).toMatchObject({
    state: 'ended',
    targets: [{ policy: 'default/cookie', matchedBy: ['fingerprint'], answer: 'rotate', result: 'proven' }],
  });
  expect(answered.stdout + answered.stderr).not.toContain(value);
  expect(JSON.parse(await readFile(target, 'utf8')).value).not.toBe(value);
  const described = await rotor(['describe', 'incident', incident.id], running.env);
  expect(described.stdout).toMatch(/default\/cookie.*fingerprint.*rotate.*proven/);
  const evidence = await rotor(['audit', 'export', '--incident', incident.id], running.env);
  expect(JSON.parse(evidence.stdout)).toMatchObject({
    incident: { id: incident.id },
    rotations: [{ state: 'done' }],
    chain: { verified: true },
  });
  const page = await rotor(['audit', 'export', '--incident', incident.id, '--html'], running.env);
  expect(page.stdout).toMatch(/^<!doctype html>[\s\S]*default\/cookie[\s\S]*<\/html>\n$/);
  expect(evidence.stdout + page.stdout).not.toContain(value);
  expect((await rotor(['get', 'incidents'], running.env)).stdout).toContain(incident.id);
  expect((await rotor(['respond', '--reason', 'x'], running.env)).code).toBe(2);

  expect(await rotor(['pause', 'cookie'], running.env)).toMatchObject({
    code: 0,
    stdout: '1 policies paused\n',
  });
  expect((await rotor(['rotate', 'nothing'], running.env)).stderr).toContain(
    'there is no policy default/nothing',
  );

  running.child.kill('SIGTERM');
  expect(await once(running.child, 'exit')).toEqual([0, null]);

  await replaceTheKey(join(folder, 'home', 'key'), running.env);
  const again = await up(join(folder, 'home'));
  const after = await rotor(['rotate', 'cookie', '--wait'], again.env);
  expect(after.code, after.stderr).toBe(0);
  again.child.kill('SIGTERM');
  expect(await once(again.child, 'exit')).toEqual([0, null]);
});

/** As docs/stores.md says: add, activate, rewrap, and then the old key's line may go. */
async function replaceTheKey(file: string, env: Record<string, string>): Promise<void> {
  const keys = async () =>
    (await readFile(file, 'utf8')).split('\n').filter((line) => /^[A-Za-z0-9+/]{43}=$/.test(line));
  const [old] = await keys();
  expect((await rotor(['key', 'activate'], env)).stderr).toContain('rotor key add');
  expect((await rotor(['key', 'add'], env)).stdout).toMatch(/^key [0-9a-f]{16} is added to /);
  expect((await keys())[0]).toBe(old);
  expect((await rotor(['key', 'activate'], env)).stdout).toMatch(/^key [0-9a-f]{16} seals from now on/);
  const [fresh, last, ...others] = await keys();
  expect([last, others]).toEqual([old, []]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await rotor(['key', 'rewrap'], env)).stdout).toMatch(
    /^[1-9]\d* files of .* rewrapped, 0 had the key already/,
  );
  expect((await rotor(['key', 'rewrap'], env)).stdout).toMatch(/^0 files of /);
  await writeFile(file, (await readFile(file, 'utf8')).replace(`${old}\n`, ''));
  expect(await keys()).toEqual([fresh]);
  const { code, stderr } = await rotor(['key', 'create', file], env);
  expect([code, stderr]).toEqual([2, expect.stringContaining('never overwritten')]);
}

test('kill -9 of everything, rotor up again: it adopts its database and goes on', async () => {
  const home = join(folder, 'again');
  const first = await up(home, { ROTOR_LEASE: '2s' });
  const manifest =
    'apiVersion: rotor.dev/v1alpha1\nkind: RotationPolicy\nmetadata: { name: again }\nspec: { credential: { random: {} }, store: { path: again }, settle: { grace: 2s } }\n';
  await rotor(['apply', '-f', '-'], first.env, manifest);
  // The first has no predecessor and so no grace; the second is killed while it waits.
  expect((await rotor(['rotate', 'again', '--wait'], first.env)).code).toBe(0);
  const started = JSON.parse((await rotor(['-o', 'json', 'rotate', 'again'], first.env)).stdout);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');

  const second = await up(home, { ROTOR_LEASE: '2s' });
  const watched = await rotor(['-o', 'json', 'watch', started.rotation], second.env);
  expect(JSON.parse(watched.stdout)).toMatchObject({ state: 'done' });
  expect(watched.code).toBe(0);
  second.child.kill('SIGTERM');
  expect(await once(second.child, 'exit')).toEqual([0, null]);
});

test('audit verify names a row that was edited by hand', async () => {
  const database = await freshDatabase();
  const home = join(folder, 'audited');
  const keyFile = join(folder, 'audit-key');
  await createKeyFile(keyFile);
  const running = await up(home, { ROTOR_DATABASE_URL: database.url, ROTOR_KEY_FILE: keyFile });
  await rotor(['token', 'create', 'reader', '--role', 'viewer'], running.env);
  expect((await rotor(['audit', 'verify'], running.env)).code).toBe(0);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`UPDATE rotor.audit SET detail = '{"role": "admin"}' WHERE action = 'token.created'`);
  await client.end();
  const { code, stdout, stderr } = await rotor(['audit', 'verify'], running.env);
  expect(code).toBe(1);
  expect(stdout + stderr).toMatch(/audit row \d+ \(token\.created token\/reader, .*was changed/);
  running.child.kill('SIGTERM');
  await once(running.child, 'exit');
  await database.drop();
});

import { spawn } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Deadline } from '../../../core/retry.ts';
import { assertAllowed, loadAllowedCommands } from './allowed-commands.ts';
import { runCommand } from './command.ts';
import { resolvePointer } from './health.ts';
import { signalledProcess } from './signal.ts';
import { reloadSpec } from './spec.ts';

const temporary = () => mkdtemp(join(tmpdir(), 'rotor-reload-'));
const isRoot = process.getuid?.() === 0;

test('an allowed command allows what begins with it, word by word, and nothing else', () => {
  const allowed = [['/bin/true'], ['/usr/bin/systemctl', 'reload']];
  for (const run of [['/bin/true'], ['/bin/true', 'x'], ['/usr/bin/systemctl', 'reload', 'shop']]) {
    expect(() => assertAllowed('shop', run, allowed)).not.toThrow();
  }
  for (const run of [
    ['/bin/truex'],
    ['/bin/false'],
    ['/usr/bin/systemctl'],
    ['/usr/bin/systemctl', 'stop', 'shop'],
    [],
  ]) {
    expect(() => assertAllowed('shop', run, allowed)).toThrow(
      expect.objectContaining({ code: 'rollout.command-not-allowed' }),
    );
  }
});

test('the allow-list is read by line; without one no command is allowed', async () => {
  expect(await loadAllowedCommands(undefined)).toEqual([]);
  const file = join(await temporary(), 'commands');
  await writeFile(file, '# reloads\n/bin/true\n\n  /usr/bin/systemctl   reload  shop\n', { mode: 0o644 });
  expect(await loadAllowedCommands(file)).toEqual([['/bin/true'], ['/usr/bin/systemctl', 'reload', 'shop']]);
});

test('an allow-list that others may write, or that names no absolute path, is refused', async () => {
  const file = join(await temporary(), 'commands');
  for (const line of ['true', './true', '/bin/../bin/true']) {
    await writeFile(file, `${line}\n`);
    await expect(loadAllowedCommands(file)).rejects.toMatchObject({ code: 'config.invalid' });
  }
  await writeFile(file, '/bin/true\n');
  await chmod(file, 0o666);
  await expect(loadAllowedCommands(file)).rejects.toMatchObject({ code: 'config.invalid' });
  await expect(loadAllowedCommands('/nowhere')).rejects.toMatchObject({ code: 'config.invalid' });
});

test('a command sees nothing of the environment of the worker, and no shell expands its arguments', async () => {
  const out = join(await temporary(), 'out');
  process.env.ROTOR_TEST_LEAK = 'hunter2';
  onTestFinished(() => {
    delete process.env.ROTOR_TEST_LEAK;
  });
  const script = `env | cut -d= -f1 | sort > ${out}; printf '%s' "$1" >> ${out}`;
  const facts = { consumer: 'shop', versionId: 'v1' };
  const run = ['/bin/sh', '-c', script, 'sh', '$HOME;id'] as const;
  expect(await runCommand(Deadline.after(10_000), [...run], facts)).toBeUndefined();
  const seen = await readFile(out, 'utf8');
  expect(
    seen
      .split('\n')
      .filter((name) => name !== 'PWD' && name !== '_' && name !== 'OLDPWD' && name !== 'SHLVL'),
  ).toEqual(['LANG', 'PATH', 'ROTOR_CONSUMER', 'ROTOR_VERSION_ID', '$HOME;id']);
});

test('a command that fails, hangs or is missing is told apart, in words without its output', async () => {
  const facts = { consumer: 'shop' };
  const soon = () => Deadline.after(10_000);
  expect(await runCommand(soon(), ['/bin/sh', '-c', 'echo hunter2; exit 7'], facts)).toBe(
    '/bin/sh ended with exit code 7',
  );
  expect(await runCommand(soon(), ['/nowhere/cmd'], facts)).toBe("/nowhere/cmd can't be run (ENOENT)");
  expect(await runCommand(Deadline.after(50), ['/bin/sh', '-c', 'sleep 60 & wait'], facts)).toMatch(
    /was killed$/,
  );
});

test('a pid file that names init, a group, the worker itself or nobody is refused', async () => {
  const file = join(await temporary(), 'pid');
  for (const content of ['1', '0', '-5', String(process.pid), '', 'abc', '12 34', '4194399', '1e3']) {
    await writeFile(file, content);
    await expect(signalledProcess('shop', file)).rejects.toMatchObject({ code: 'rollout.reload-failed' });
  }
  await expect(signalledProcess('shop', '/nowhere.pid')).rejects.toMatchObject({
    code: 'rollout.reload-failed',
  });
});

test('a live process is found; a pid file that everybody may write is not trusted', async () => {
  const child = spawn('/bin/sleep', ['60']);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const file = join(await temporary(), 'pid');
  await writeFile(file, `${child.pid}\n`);
  expect(await signalledProcess('shop', file)).toBe(child.pid);
  await chmod(file, 0o666);
  await expect(signalledProcess('shop', file)).rejects.toMatchObject({ code: 'rollout.reload-failed' });
});

test.runIf(isRoot && process.platform === 'linux')(
  'a worker that is root signals no process of another user than the owner of the pid file',
  async () => {
    const child = spawn('/bin/sleep', ['60']);
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    const file = join(await temporary(), 'pid');
    await writeFile(file, `${child.pid}\n`);
    await chown(file, 4711, 4711);
    await expect(signalledProcess('shop', file)).rejects.toMatchObject({
      code: 'rollout.reload-failed',
      message: expect.stringContaining('user 4711'),
    });
  },
);

test('JSON pointers find what RFC 6901 says they do', () => {
  const document = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'm~n': 8, deep: { x: 'y' } };
  const expected = {
    '/foo/0': 'bar',
    '/': 0,
    '/a~1b': 1,
    '/m~0n': 8,
    '/deep/x': 'y',
    '/toString': undefined,
    '/foo/0/x': undefined,
  };
  for (const [pointer, value] of Object.entries(expected))
    expect(resolvePointer(document, pointer)).toEqual(value);
});

test('a spec is complete by itself, parses again to the same, and names the wrong field', () => {
  const parsed = reloadSpec.parse({
    via: { signal: { pidFile: '/run/shop.pid' } },
    health: { http: { url: 'http://127.0.0.1:8080/health' } },
  });
  expect(parsed).toMatchObject({
    via: { signal: { signal: 'SIGHUP' } },
    health: { http: { expectStatus: 200 } },
    healthTimeout: '30s',
    stableFor: 1,
  });
  expect(reloadSpec.parse(parsed)).toEqual(parsed);
  for (const wrong of [
    { via: { http: { url: 'http://user:pw@host/' } } },
    { via: { signal: { pidFile: '/run/x.pid', signal: 'SIGKILL' } } },
    { via: { command: { run: ['reload.sh'] } } },
    { via: { command: { run: [] } } },
    { healthTimeout: 'soon' },
    { healthTimeout: '0s' },
    { stableFor: 0 },
    { health: { http: { url: 'ftp://x/' } } },
  ]) {
    const { error } = reloadSpec.safeParse({ ...parsed, ...wrong });
    expect(error?.issues[0]?.path[0], JSON.stringify(wrong)).toBe(Object.keys(wrong)[0]);
  }
});

import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Call } from '../../../core/call.ts';
import { systemClock } from '../../../core/clock.ts';
import type { Credential } from '../../../core/credential.ts';
import { silentLog } from '../../../core/log.ts';
import { cryptoRandom } from '../../../core/random.ts';
import { Deadline } from '../../../core/retry.ts';
import { SecretValue } from '../../../core/secret.ts';
import { fileDelivery } from './delivery.ts';

const call = (): Call => ({
  deadline: Deadline.after(10_000),
  fence: 1n,
  clock: systemClock,
  random: cryptoRandom,
  log: silentLog,
});
const credential: Credential = {
  versionId: 'v1',
  identity: 'app',
  fields: { username: 'app', port: '5432' },
  secrets: { password: SecretValue.of('hunter2') },
};
const isRoot = process.getuid?.() === 0;

async function target(options: object = {}) {
  const path = join(await mkdtemp(join(tmpdir(), 'rotor-file-')), 'db.json');
  return { path, session: fileDelivery.open(fileDelivery.spec.parse({ path, ...options })) };
}

test('the file has the mode of the policy whatever the umask, and 0600 without one', async () => {
  const before = process.umask(0o077);
  try {
    for (const [mode, bits] of [
      ['0640', 0o640],
      [undefined, 0o600],
    ] as const) {
      const { path, session } = await target({ mode });
      await session.deliver(call(), credential);
      expect((await stat(path)).mode & 0o7777).toBe(bits);
      await chmod(path, 0o604);
      expect(await session.holds(call(), credential)).toBe(false);
    }
  } finally {
    process.umask(before);
  }
});

test.runIf(isRoot)('owner and group are set by name or number, and are part of what is held', async () => {
  const { path, session } = await target({ owner: 'daemon', group: 4711, mode: '0440' });
  await session.plan(call());
  await session.deliver(call(), credential);
  const stats = await stat(path);
  expect(stats.uid).toBe(Number(/^daemon:[^:]*:(\d+)/m.exec(await readFile('/etc/passwd', 'utf8'))?.[1]));
  expect(stats.gid).toBe(4711);
  const other = fileDelivery.open(fileDelivery.spec.parse({ path, owner: 4712, group: 4711, mode: '0440' }));
  expect(await other.holds(call(), credential)).toBe(false);
  expect(await session.holds(call(), credential)).toBe(true);
});

test('an unknown owner is refused by plan and by deliver, and names the owner', async () => {
  const { path, session } = await target({ owner: 'no-such-user' });
  for (const attempt of [() => session.plan(call()), () => session.deliver(call(), credential)]) {
    await expect(attempt()).rejects.toMatchObject({
      code: 'delivery.failed',
      kind: 'terminal',
      message: expect.stringMatching(/no-such-user/),
    });
  }
  expect(await readdir(dirname(path))).toEqual([]);
});

test('a symbolic link, a directory and a pipe at the target are refused and left alone', async () => {
  const { path, session } = await target();
  const elsewhere = join(dirname(path), 'elsewhere');
  await writeFile(elsewhere, 'mine');
  await symlink(elsewhere, path);
  for (const attempt of [() => session.plan(call()), () => session.deliver(call(), credential)]) {
    await expect(attempt()).rejects.toMatchObject({
      code: 'delivery.failed',
      kind: 'terminal',
      message: expect.stringMatching(/symbolic link/),
    });
  }
  expect(await readFile(elsewhere, 'utf8')).toBe('mine');
  expect((await lstat(path)).isSymbolicLink()).toBe(true);
  expect(await session.holds(call(), credential)).toBe(false);
  const folder = fileDelivery.open(fileDelivery.spec.parse({ path: dirname(path) }));
  await expect(folder.deliver(call(), credential)).rejects.toMatchObject({ code: 'delivery.failed' });
});

test('a directory in which everybody may exchange files is refused', async () => {
  const { path, session } = await target();
  await chmod(dirname(path), 0o777);
  await expect(session.plan(call())).rejects.toMatchObject({
    code: 'delivery.failed',
    message: expect.stringMatching(/everybody/),
  });
  await chmod(dirname(path), 0o1777);
  await session.plan(call());
});

test('plaintext that a killed worker left in a temporary file is swept up by the next delivery', async () => {
  const { path, session } = await target();
  await writeFile(join(dirname(path), '.db.json.left.rotor-tmp'), 'hunter1');
  await mkdir(join(dirname(path), 'other'));
  await session.deliver(call(), credential);
  expect((await readdir(dirname(path))).sort()).toEqual(['db.json', 'other']);
});

test.runIf(isRoot && process.platform === 'linux')(
  'a full disk leaves the old file as it was, and no debris',
  async ({ skip }) => {
    const folder = await mkdtemp(join(tmpdir(), 'rotor-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    } catch {
      skip('this container may not mount a small file system');
    }
    try {
      const path = join(folder, 'db.json');
      const session = fileDelivery.open(fileDelivery.spec.parse({ path }));
      await session.deliver(call(), credential);
      const huge = { ...credential, secrets: { password: SecretValue.of('x'.repeat(100_000)) } };
      await expect(session.deliver(call(), huge)).rejects.toMatchObject({
        code: 'delivery.failed',
        message: expect.stringMatching(/no space/),
      });
      expect(await session.holds(call(), credential)).toBe(true);
      expect(await readdir(folder)).toEqual(['db.json']);
    } finally {
      execFileSync('umount', [folder]);
    }
  },
);

test('a spec that could not be carried out is refused with the field that is wrong', () => {
  const wrong: ReadonlyArray<readonly [object, string]> = [
    [{ path: 'relative' }, 'path'],
    [{ path: '/a/../b' }, 'path'],
    [{ path: '/a/' }, 'path'],
    [{ path: '/a', mode: '0644' }, 'mode'],
    [{ path: '/a', mode: '9' }, 'mode'],
    [{ path: '/a', format: 'raw' }, 'field'],
    [{ path: '/a', format: 'template' }, 'template'],
    [{ path: '/a', field: 'password' }, 'field'],
    [{ path: '/a', format: 'template', template: '{{password|rot13}}' }, 'template'],
    [{ path: '/a', format: 'template', template: '{{password' }, 'template'],
    [{ path: '/a', format: 'template', template: '{{}}' }, 'template'],
  ];
  for (const [spec, field] of wrong) {
    const issues = fileDelivery.spec.safeParse(spec).error?.issues.map((issue) => issue.path.join('.'));
    expect(issues, JSON.stringify(spec)).toEqual([field]);
  }
});

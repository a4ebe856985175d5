import { execFile } from 'node:child_process';
import { constants, createDecipheriv, createPrivateKey, privateDecrypt } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';

const exec = promisify(execFile);

/** Why what was sealed can't be opened with the real kubeseal; undefined when it can. */
export const noKubeseal = process.env.ROTOR_TEST_KUBESEAL
  ? undefined
  : 'needs kubeseal: ROTOR_TEST_KUBESEAL="$(scripts/kubeseal.sh)" builds and names one';

/** A key pair as the controller makes them. */
export interface SealingKey {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A certificate that is valid from `from` (`20260101000000Z`) on. */
export async function aSealingKey(
  folder: string,
  name: string,
  from: string,
  to = '20361231000000Z',
): Promise<SealingKey> {
  const [certificate, privateKey] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const empty = join(folder, `${name}.database`);
  await mkdir(empty, { recursive: true });
  await writeFile(join(empty, 'index'), '');
  const config = `[ca]\ndefault_ca=us\n[us]\ndatabase=${empty}/index\nnew_certs_dir=${empty}\nrand_serial=yes\npolicy=any\ndefault_md=sha256\n[any]\n[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nO=sealed-secrets\n`;
  await writeFile(join(empty, 'config'), config);
  const at = ['-config', join(empty, 'config')];
  await exec('openssl', [
    'req',
    ...at,
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    privateKey,
    '-out',
    join(empty, 'csr'),
  ]);
  const signed = [
    '-selfsign',
    '-keyfile',
    privateKey,
    '-in',
    join(empty, 'csr'),
    '-startdate',
    from,
    '-enddate',
    to,
  ];
  await exec('openssl', ['ca', ...at, ...signed, '-batch', '-notext', '-out', certificate]);
  return { certificate, privateKey };
}

/** A bare repository on disk with one commit on `main`, and clones of it. */
export async function aRepository(): Promise<{
  readonly url: string;
  readonly path: string;
  git(...args: string[]): Promise<string>;
  file(path: string): Promise<string | undefined>;
  /** Pushes a file, or its end, as somebody else would. */
  push(path: string, text: string | undefined): Promise<void>;
  remove(): Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-repository-'));
  const path = join(folder, 'remote.git');
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  const git = async (...args: string[]) => (await exec('git', ['-C', path, ...args], { env })).stdout;
  await exec('git', ['init', '--quiet', '--bare', '--initial-branch=main', path], { env });
  const clone = join(folder, 'clone');
  const theirs = async (...args: string[]) =>
    (
      await exec('git', ['-C', clone, '-c', 'user.name=somebody', '-c', 'user.email=else@example', ...args], {
        env,
      })
    ).stdout;
  const begin = exec('git', ['-C', path, 'fast-import', '--quiet'], { env });
  begin.child.stdin?.end(
    'commit refs/heads/main\ncommitter somebody <else@example> 1767225600 +0000\ndata 0\nM 100644 inline README.md\ndata 10\nmanifests\n\n',
  );
  await begin;
  let cloned: Promise<unknown> | undefined;
  const push = async (name: string, text: string | undefined) => {
    cloned ??= exec('git', ['clone', '--quiet', path, clone], { env });
    await cloned;
    await theirs('pull', '--quiet', '--rebase', 'origin', 'main');
    if (text === undefined) await rm(join(clone, name));
    else {
      await mkdir(join(clone, name, '..'), { recursive: true });
      await writeFile(join(clone, name), text);
    }
    await theirs('add', '--all');
    await theirs('commit', '--quiet', '-m', `somebody else changes ${name}`);
    await theirs('push', '--quiet', 'origin', 'main');
  };
  return {
    url: `file://${path}`,
    path,
    git,
    push,
    file: (name) => git('show', `main:${name}`).catch(() => undefined),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

interface SealedManifest {
  readonly spec: { readonly encryptedData: Readonly<Record<string, string>> };
}

/** What is in a SealedSecret, opened as `HybridDecrypt` of sealed-secrets does. */
export async function unsealed(
  manifest: string,
  key: SealingKey,
  label: string,
): Promise<Record<string, string>> {
  const privateKey = createPrivateKey(await readFile(key.privateKey));
  const { encryptedData } = (parse(manifest) as SealedManifest).spec;
  return Object.fromEntries(
    Object.entries(encryptedData).map(([name, text]) => {
      const bytes = Buffer.from(text, 'base64');
      const length = bytes.readUInt16BE();
      const oaep = {
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
        oaepLabel: Buffer.from(label),
      };
      const sessionKey = privateDecrypt({ key: privateKey, ...oaep }, bytes.subarray(2, 2 + length));
      const decipher = createDecipheriv('aes-256-gcm', sessionKey, Buffer.alloc(12));
      decipher.setAuthTag(bytes.subarray(-16));
      const clear = Buffer.concat([decipher.update(bytes.subarray(2 + length, -16)), decipher.final()]);
      return [name, clear.toString('utf8')];
    }),
  );
}

/** The same by the real kubeseal: a Secret with its data decoded. */
export async function unsealedByKubeseal(
  manifest: string,
  key: SealingKey,
): Promise<{ name: string; data: Record<string, string> }> {
  const child = execFile(process.env.ROTOR_TEST_KUBESEAL ?? '', [
    '--recovery-unseal',
    '--recovery-private-key',
    key.privateKey,
    '--format',
    'json',
  ]);
  child.stdin?.end(manifest);
  const [out, trouble] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (out === '') throw new Error(trouble);
  const secret = JSON.parse(out) as {
    metadata: { namespace: string; name: string };
    data: Record<string, string>;
  };
  const data = Object.entries(secret.data).map(([name, value]) => [
    name,
    Buffer.from(value, 'base64').toString(),
  ]);
  return { name: `${secret.metadata.namespace}/${secret.metadata.name}`, data: Object.fromEntries(data) };
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  let all = '';
  for await (const chunk of stream ?? []) all += String(chunk);
  return all;
}

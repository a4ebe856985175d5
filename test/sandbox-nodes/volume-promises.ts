import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PODS } from '../../sandbox/controllers/client/kinds.ts';
import type { TestCluster } from './cluster.ts';
import { createPod, untilReady } from './pod-promises.ts';
import { putSecret, scriptContainer } from './workloads.ts';

const FOREVER = 'setInterval(() => {}, 1000);';

/** What a node promises about files. */
export function volumePromises(the: () => TestCluster): void {
  it('brings a changed Secret into the volume, all at once, but never into a subPath', async () => {
    await putSecret(the(), 'login', { username: 'a', password: 'first' });
    const pod = await createPod(the(), 'reads', {
      volumes: [{ name: 'login', secret: { secretName: 'login' } }],
      containers: [
        scriptContainer(FOREVER, {
          volumeMounts: [
            { name: 'login', mountPath: '/etc/login' },
            { name: 'login', mountPath: '/etc/frozen', subPath: 'password' },
          ],
        }),
      ],
    });
    await untilReady(the(), 'reads');
    const root = join(the().folder, 'pods', pod.metadata.uid, 'containers', 'main', 'root');
    const read = (path: string) => readFile(join(root, path), 'utf8');
    expect(await read('etc/login/password')).toBe('first');
    const data = await readlink(join(root, 'etc/login/..data'));
    await putSecret(the(), 'login', { username: 'b', password: 'second' });
    await the().until('the change', async () => {
      const now = await read('etc/login/password');
      return now === 'second' || undefined;
    });
    expect(await read('etc/login/username')).toBe('b');
    expect(await readlink(join(root, 'etc/login/..data'))).not.toBe(data);
    expect(await read('etc/frozen')).toBe('first');
  });

  it('ends a pod whose Secret changes in that very moment, and leaves nothing of it', async () => {
    // So many keys that writing them takes longer than ending a process.
    const keys = Array.from({ length: 400 }, (_, index) => `key-${index}`);
    const put = (value: string) =>
      putSecret(the(), 'many', Object.fromEntries(keys.map((key) => [key, value])));
    await put('first');
    const { metadata } = await createPod(the(), 'ends', {
      volumes: [{ name: 'many', secret: { secretName: 'many' } }],
      containers: [scriptContainer(FOREVER, { volumeMounts: [{ name: 'many', mountPath: '/etc/many' }] })],
    });
    await untilReady(the(), 'ends');
    await put('second');
    const { api, folder, pods, until } = the();
    await api.delete(PODS, metadata, { gracePeriodSeconds: 1 });
    await until('the pod to be gone', () => !pods.get(metadata.namespace, metadata.name) || undefined);
    expect(await readdir(join(folder, 'pods'))).not.toContain(metadata.uid);
  });

  it('gives containers exactly the environment that their spec asks for', async () => {
    await putSecret(the(), 'words', { one: '1', two: '2' });
    const script = `require('node:fs').writeFileSync(process.env.ROTOR_SANDBOX_ROOT + '/out/env', JSON.stringify(process.env)); ${FOREVER}`;
    const pod = await createPod(the(), 'variables', {
      volumes: [{ name: 'out', emptyDir: {} }],
      containers: [
        scriptContainer(script, {
          envFrom: [{ secretRef: { name: 'words' }, prefix: 'W_' }],
          env: [
            { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            { name: 'BOTH', value: '$(W_one)-$(NAME)-$(NOT)-$$(NAME)' },
          ],
          volumeMounts: [{ name: 'out', mountPath: '/out' }],
        }),
      ],
    });
    await untilReady(the(), 'variables');
    const file = join(the().folder, 'pods', pod.metadata.uid, 'volumes', 'emptyDir', 'out', 'env');
    // The file exists before its content does.
    const written = await the().until('the file', async () => {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text.endsWith('}') ? text : undefined;
    });
    const env = JSON.parse(written) as Record<string, string>;
    expect(env).toMatchObject({ W_one: '1', W_two: '2', BOTH: '1-variables-$(NOT)-$(NAME)' });
    const sandbox = ['ROTOR_SANDBOX_ADDRESS', 'ROTOR_SANDBOX_ROOT'];
    const ours = ['BOTH', 'HOSTNAME', 'NAME', 'PATH', ...sandbox, 'W_one', 'W_two'];
    expect(Object.keys(env).sort()).toEqual(ours);
  });
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { serveApi } from '../../orchestrator/api/serve.ts';
import { render, skippedWithoutHelm, the } from './helm.ts';

const skipped = skippedWithoutHelm('what `helm test` runs');

/** Runs the pod's program as its container would, but at another address. */
async function run(url: string): Promise<{ code: number; said: string }> {
  const [container] = the(await render(), 'Pod', '-test').spec.containers;
  const [program, ...options] = container.command;
  expect([program, container.env]).toEqual([
    'node',
    [{ name: 'ROTOR_URL', value: 'http://rotor.rotor:8420' }],
  ]);
  const child = spawn(process.execPath, [...options, ...container.args], {
    env: { ROTOR_URL: url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return { code, said };
}

test.skipIf(skipped)('helm test tells whether the API answers and can work, and why not', async () => {
  let status = 200;
  const api = {
    fetch: () => new Response(status === 200 ? 'ok' : '{"code":"ledger.unavailable"}', { status }),
  };
  const served = await serveApi(api, { host: '127.0.0.1', port: 0 });
  expect(await run(served.url)).toEqual({ code: 0, said: expect.stringContaining('/readyz: 200 ok') });
  status = 503;
  expect(await run(served.url)).toEqual({
    code: 1,
    said: expect.stringContaining('503 {"code":"ledger.unav'),
  });
  await served.close();
  expect(await run(served.url)).toEqual({ code: 1, said: expect.stringContaining('ECONNREFUSED') });
});

test.skipIf(skipped)(
  'its pod keeps to the restricted profile, and is no pod that a policy of the release is about',
  async () => {
    const objects = await render();
    const { metadata, spec } = the(objects, 'Pod', '-test');
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const { matchLabels } = the(objects, 'NetworkPolicy', 'default-deny').spec.podSelector;
    expect(metadata.labels).not.toMatchObject(matchLabels);
  },
);
